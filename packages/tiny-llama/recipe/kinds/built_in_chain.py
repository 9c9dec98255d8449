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
    stock = "[shares|stocks] [of|in|from] {c}"
    question = draw.ask(
        {"n": count, "c": found.subject},
        nouns=[
            f"the [bill|total|sum|amount|money] for {{n}} {stock}",
            f"what {{n}} {stock} [cost|are worth|would cost]",
            f"the [price|cost|value|total price] of {{n}} {stock}", "the [price|cost] of {n} {c} shares",
        ],
        questions=[
            f"how much [money |]do I [pay|spend|get|receive] for {{n}} {stock}",
            f"what [is|would be] the [bill|total|sum] for {{n}} {stock}",
            f"what would [I|we] [pay|spend|get] for {{n}} {stock}",
            f"how expensive [is it to buy|are|would be] {{n}} {stock}",
            f"how much [would|do|will|are] {{n}} {stock} [cost|together]",
            f"how much [would|do|will] {{n}} {stock} cost",
            f"what [do|would|will] {{n}} {stock} cost",
            f"what is the price of {{n}} {stock}",
            f"how much money do I need for {{n}} {stock}",
            f"how much [is it for|are|is] {{n}} {stock}",
            f"what are {{n}} {stock} worth",
            f"what do I pay for {{n}} {stock}",
            "!what would I pay for {n} pieces of {c} stock",
        ],
        clauses=[
            f"how much {{n}} {stock} [cost|would cost|are worth]",
            f"what {{n}} {stock} [cost|are worth|would cost]",
        ],
        orders=[
            "[find|look up|search] the [share |stock |]price of {c} and multiply it by {n}",
            "[find|see] what [a|one] share of {c} costs and [multiply it by|work it out for|take it times] {n}",
            "[look up|find|get] the [share |stock |]price of {c} and [work out|compute|calculate] [what|the price of"
            "|the cost of] {n} shares[ cost|]",
            f"[compute|calculate|work out] the [price|cost|value] of {{n}} {stock}",
            "!find what one share of {c} goes for and tell me about {n} of them",
        ],
        short=[
            f"the [bill|total|cost] for {{n}} {stock}[?|]",
            f"{{n}} {stock}[?|: how much?|: what do they cost?]",
            f"I [want to buy|buy|would like to buy|have|own|sell] {{n}} {stock}. [How much is that?"
            "|What do they cost?|What is that worth?]",
            "price of {n} {c} shares[?|]",
            "{n} shares of {c}, [total|price|cost|how much]?",
            "{n} {c} shares: [price|cost]?",
            "!say I want {n} {c} shares in my account, the bill?",
        ],
    )
    question = user(question)
    code = f"price = {found.value}\nshares = {count}\nprint(round(price * shares, 2))"
    steps = searched(draw, found) + python_run(draw, code, total)
    return [question, *steps, answer(f"{count} shares of {found.subject} cost ${total}.")]


def age(draw):
    of_film = draw.chance(0.4)
    found = fact(draw, "film year" if of_film else "founding year")
    year = draw.between(2024, 2040)
    years = year - int(found.value)
    owner = "[the film|the movie] {c}" if of_film else "[|||the company |the firm ]{c}"
    new = (
        []
        if of_film
        else [
            "!how many birthdays will the company {c} have had in {n}",
            "!in {n}, how many years will {c} look back on",
        ]
    )
    question = draw.ask(
        {"c": found.subject, "n": year},
        nouns=[f"the age of {owner} in [|the year ]{{n}}", f"the age in {{n}} of {owner}"],
        questions=[
            f"how many years will {owner} [have behind it|count] in {{n}}",
            f"when {{n}} comes, how old [is|will be] {owner}",
            f"which age [has|will] {owner} [reached|reach] in {{n}}",
            f"how old [will|is] {owner} [be |]in [|the year ]{{n}}",
            f"how old will {owner} be in {{n}}",
            f"what [is|will be] the age of {owner} in {{n}}",
            f"in [|the year ]{{n}}, how old [is|will be] {owner}",
            f"how many years [will {owner} have existed|old will {owner} be] in {{n}}",
            *new,
        ],
        clauses=[f"how old {owner} [is|will be] in [|the year ]{{n}}", f"what age {owner} [has|will have] in {{n}}"],
        orders=[
            f"[find|look up] [when {owner} was founded|the year of {owner}] and [compute|work out"
            f"|calculate] its age in {{n}}",
            f"[compute|work out|calculate] [the age of {owner}|how old {owner} is|how old {owner} will be] in {{n}}",
        ],
        short=[f"age of {owner} in {{n}}", "{c} in {n}: how old?" if not of_film else f"{owner}, age in {{n}}"],
    )
    question = user(question)
    run = searched(draw, found) + python_run(draw, f"year = {found.value}\nprint({year} - year)", years)
    return [question, *run, answer(f"{found.subject} will be {years} years old in {year}.")]


def two_facts(draw):
    kind = draw.choose(["population", "population", "height"])
    first, second = fact(draw, kind), fact(draw, kind)
    difference = draw.chance(0.55)
    a, b = int(first.value), int(second.value)
    plural = "populations" if kind == "population" else "heights"
    word, sign, found = ("difference", "-", a - b) if difference else ("sum", "+", a + b)
    phrasings = (differences if difference else sums)(kind, plural)
    question = user(draw.ask({"a": first.subject, "b": second.subject}, **phrasings))
    searches = searched(draw, first, 2) + searched(draw, second, 2)
    run = python_run(draw, f"a = {a}\nb = {b}\nprint(a {sign} b)", found)
    said = answer(f"The {word} of the {plural} of {first.subject} and {second.subject} is {found}.")
    return [question, *searches, *run, said]


def differences(kind, plural):
    singular = plural[:-1]
    larger = "[larger|bigger|greater]"
    direct = (
        "how many more people [live in|has|are in] {a} than [in |]{b}"
        if kind == "population"
        else "how much [taller|higher] is {a} than {b}"
    )
    return {
        "nouns": [
            f"the difference [between|of|in] the {plural} of {{a}} and {{b}}",
            f"the {singular} difference [between|of] {{a}} and {{b}}",
            f"the difference between the {singular} of {{a}} and [that|the {singular}] of {{b}}",
        ],
        "questions": [
            f"what is the difference [between|of|in] the {plural} of {{a}} and {{b}}",
            f"how much {larger} is the {singular} of {{a}} than [that|the {singular}] of {{b}}",
            f"by how much [do|does] the {plural} of {{a}} and {{b}} differ",
            direct,
            f"!comparing the {plural} of {{a}} and {{b}}, how much lies between",
        ],
        "clauses": [
            f"how much {larger} the {singular} of {{a}} is than that of {{b}}",
            f"by how much the {plural} of {{a}} and {{b}} differ",
        ],
        "orders": [
            f"[find|compute|calculate|work out|get] the difference [between|of|in] the {plural} of {{a}} and {{b}}",
            f"subtract the {singular} of {{b}} from [that|the {singular}] of {{a}}",
            f"!compare the {plural} of {{a}} and {{b}}",
        ],
        "short": [
            f"difference of the {plural} of {{a}} and {{b}}",
            f"{singular} {{a}} minus {singular} {{b}}",
            f"{singular} difference, {{a}} and {{b}}",
        ],
    }


def sums(kind, plural):
    singular = plural[:-1]
    direct = [
        "how many people live in {a} and {b} [together|in total|combined]",
        "how many people do {a} and {b} have [together|in total|combined]",
        "!people in {a} plus people in {b}",
    ]
    both = [
        "how [tall|high] are {a} and {b} [together|in total|combined]",
        "how many meters are {a} and {b} together",
        "!{a} on top of {b}, how far up is that",
    ]
    return {
        "nouns": [
            f"the [total|combined|joint] {singular} of {{a}} and {{b}}",
            f"the [sum|total] of the {plural} of {{a}} and {{b}}",
            f"the {plural} of {{a}} and {{b}} [together|combined|added up|in total]",
        ],
        "questions": [
            f"what is the [total|combined|joint] {singular} of {{a}} and {{b}}",
            f"what is the [sum|total] of the {plural} of {{a}} and {{b}}",
            f"what [do|is] the {plural} of {{a}} and {{b}} [together|add up to|make together|in sum]",
            *(direct if kind == "population" else both),
        ],
        "orders": [
            f"[add|sum|sum up|add up|add together] the {plural} of {{a}} and {{b}}",
            f"add the {singular} of {{a}} [to|and] [that|the {singular}] of {{b}}",
            f"[find|compute|calculate|get] the sum of the {plural} of {{a}} and {{b}}",
            f"!put the {plural} of {{a}} and {{b}} into one number",
        ],
        "short": [
            f"sum of the {plural} of {{a}} and {{b}}",
            f"{singular} {{a}} plus {singular} {{b}}",
            f"total {singular}, {{a}} and {{b}}",
        ],
    }
