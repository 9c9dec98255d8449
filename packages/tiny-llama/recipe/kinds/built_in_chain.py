"""Conversations of several steps with built-in tools: search and then compute."""

from messages import answer, call, python_run, user

from kinds.facts import fact
from kinds.search import search_result


def built_in_chain(draw):
    which = draw.random.random()
    if which < 0.35:
        return shares(draw)
    return age(draw) if which < 0.6 else two_facts(draw)


def searched(draw, found, most=3):
    return [call("brave_search", {"query": found.query}), search_result(draw, found, most)]


def shares(draw):
    count, found = draw.number(2, 5000), fact(draw, "share price")
    total = round(float(found.value) * count, 2)
    cores = [
        "how much [would|do|will] {n} shares of {c} cost?",
        "what [do|would] {n} shares of {c} cost?",
        "I want to buy {n} shares of {c}. [How much is that?|What do they cost?]",
        "what is the price of {n} shares of {c}?",
        "[look up|find] the [share |stock |]price of {c} and [work out|compute|calculate] what {n} shares cost.",
        "price of {n} {c} shares[?|]",
        "how much money do I need for {n} shares of {c}?",
        "!what would I pay for {n} pieces of {c} stock?",
    ]
    question = user(draw.say(cores, n=count, c=found.subject))
    code = f"price = {found.value}\nshares = {count}\nprint(round(price * shares, 2))"
    steps = searched(draw, found) + python_run(draw, code, total)
    return [question, *steps, answer(f"{count} shares of {found.subject} cost ${total}.")]


def age(draw):
    of_film = draw.chance(0.4)
    found = fact(draw, "film year" if of_film else "founding year")
    year = draw.between(2024, 2040)
    years = year - int(found.value)
    film_cores = [
        "how old [will|is] [|the film ]{c} [be |]in {n}?",
        "what is the age of the film {c} in {n}?",
        "in {n}, how old is the film {c}?",
    ]
    company_cores = [
        "how old will {c} be in {n}?",
        "how many years will {c} have existed in {n}?",
        "in {n}, how old is {c}?",
        "what is the age of {c} in {n}?",
        "[find|look up] when {c} was founded and [compute|work out] its age in {n}[.|]",
        "!how many birthdays will the company {c} have had in {n}?",
    ]
    question = user(draw.say(film_cores if of_film else company_cores, c=found.subject, n=year))
    run = searched(draw, found) + python_run(draw, f"year = {found.value}\nprint({year} - year)", years)
    return [question, *run, answer(f"{found.subject} will be {years} years old in {year}.")]


def two_facts(draw):
    kind = draw.choose(["population", "population", "height"])
    first, second = fact(draw, kind), fact(draw, kind)
    difference = draw.chance(0.45)
    a, b = int(first.value), int(second.value)
    plural = "populations" if kind == "population" else "heights"
    word, sign, found = ("difference", "-", a - b) if difference else ("sum", "+", a + b)
    cores = difference_cores(kind, plural) if difference else sum_cores(kind, plural)
    question = user(draw.say(cores, a=first.subject, b=second.subject))
    searches = searched(draw, first, 2) + searched(draw, second, 2)
    run = python_run(draw, f"a = {a}\nb = {b}\nprint(a {sign} b)", found)
    said = answer(f"The {word} of the {plural} of {first.subject} and {second.subject} is {found}.")
    return [question, *searches, *run, said]


def difference_cores(_, plural):
    return [
        f"what is the difference [between|of] the {plural} of {{a}} and {{b}}?",
        f"how much [larger|bigger] is the {plural[:-1]} of {{a}} than that of {{b}}?",
        f"[find|compute|give me] the difference [between|of] the {plural} of {{a}} and {{b}}[.|]",
        f"!compare the {plural} of {{a}} and {{b}}",
    ]


def sum_cores(kind, plural):
    cores = [
        f"what is the [total|combined] {plural[:-1]} of {{a}} and {{b}}?",
        f"add the {plural} of {{a}} and {{b}}[.|]",
        f"[sum|sum up|add up] the {plural} of {{a}} and {{b}}[.|]",
        f"[what is|give me|find|compute] the sum of the {plural} of {{a}} and {{b}}[.|]",
    ]
    people = [
        "how many people live in {a} and {b} [together|in total|combined]?",
        "!people in {a} plus people in {b}?",
    ]
    return cores + people if kind == "population" else cores
