"""Conversations of several steps in which custom functions take part: with each other, with Python, with a search."""

from messages import answer, call, python_run, result, user
from words import HELD_OUT_NOUNS, NOUNS

from kinds.facts import fact
from kinds.function_calls import function_result
from kinds.functions import function, schema
from kinds.search import search_result

ACTIONS = ["cancel", "update", "track", "close", "approve", "refund", "archive", "delete", "open", "check"]


def function_chain(draw):
    """(schemas, the built-in tools that take part, episode)"""
    which = draw.random.random()
    noun = draw.choose(HELD_OUT_NOUNS if draw.held_out and draw.chance(0.5) else NOUNS)
    if which < 0.4:
        return find_and_act(draw, noun)
    if which < 0.65:
        return value_times_count(draw)
    return two_values(draw) if which < 0.85 else message_to_chief(draw)


def simple_schema(name, description, key, key_description):
    properties = {key: {"type": "string", "description": key_description}}
    parameters = {"type": "object", "properties": properties, "required": [key]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def find_and_act(draw, noun):
    """One function finds the id, another acts on it."""
    action, key = draw.choose(ACTIONS), draw.choose([noun + "_id", "id"])
    by, person, found_id = draw.choose(["name", "person", "customer"]), draw.person(), draw.identifier()
    finder, actor = f"{draw.choose(['find', 'search', 'lookup', 'get'])}_{noun}", f"{action}_{noun}"
    schemas = [
        simple_schema(finder, f"Find the {noun} of a person", by, "The name of the person"),
        simple_schema(actor, f"{action.capitalize()} a {noun} by id", key, f"The {noun} id"),
    ]
    if draw.chance(0.3):
        schemas.append(schema(draw, function(draw)))
    draw.random.shuffle(schemas)
    found, said = function_result(draw)
    cores = [
        f"find the {noun} of {{p}} and {action} it.",
        f"[please |can you |I want to |]{action} the {noun} of {{p}}[.|]",
        f"{{p}} wants to {action} [a|the] {noun}. Find it and {action} it.",
        f"[look up|search] the {noun} of {{p}}, then {action} it.",
        f"{action} {{p}}'s {noun}[.|]",
        f"!the {noun} of {{p}} has to be found first, then {action} it",
    ]
    asked = [user(draw.say(cores, p=person)), call(finder, {by: person})]
    if draw.chance(0.12):
        error = draw.choose([f"no {noun} for {person}", f"{noun} not found"])
        return schemas, [], asked + [result({"error": error}), answer(f"That did not work: {error}.")]
    record = draw.choose([{key: found_id}, {key: found_id, "owner": person}])
    return schemas, [], asked + [result(record), call(actor, {key: found_id}), found, answer(said)]


def value_times_count(draw):
    """A value from a function, then Python."""
    item = draw.choose([draw.name(), draw.word(), draw.title()])
    count = draw.number(2, 999)
    value = round(draw.random.uniform(1, 999), 2) if draw.chance(0.7) else draw.number(2, 999)
    what, key = draw.choose(["price", "weight", "cost", "fee"]), draw.choose(["item", "product", "name", "article"])
    schemas = [simple_schema(f"get_{what}", f"Get the {what} of one {key}", key, f"The {key}")]
    if draw.chance(0.5):
        schemas.append(schema(draw, function(draw)))
    draw.random.shuffle(schemas)
    total = round(value * count, 2)
    cores = [
        f"what is the [total |]{what} of {{n}} {{i}}?",
        f"[get|find|look up] the {what} of {{i}} and [multiply it by|compute it for] {{n}}[.|]",
        f"[how much is|what is] the {what} for {{n}} pieces of {{i}}?",
        f"I [want|need] {{n}} pieces of {{i}}. What is the [total |]{what}?",
        f"total {what} for {{n}} {{i}}",
        f"!work out the {what} of {{n}} units of {{i}}",
    ]
    asked = [user(draw.say(cores, n=count, i=item)), call(f"get_{what}", {key: item}), result({what: value})]
    run = python_run(draw, f"{what} = {value}\ncount = {count}\nprint(round({what} * count, 2))", total)
    return schemas, ["code_interpreter"], asked + run + [answer(f"The total {what} of {count} {item} is {total}.")]


def two_values(draw):
    """The same function twice, then Python."""
    a, b = (draw.city(), draw.city()) if draw.chance(0.5) else (draw.name(), draw.name())
    what = draw.choose(["population", "temperature", "price", "distance", "score", "balance", "weight"])
    key = draw.choose(["name", "place", "item", "key"])
    if draw.chance(0.6):
        x, y = draw.number(1, 99999), draw.number(1, 99999)
    else:
        x, y = round(draw.random.uniform(1, 99), 2), round(draw.random.uniform(1, 99), 2)
    difference = draw.chance(0.4)
    schemas = [simple_schema(f"get_{what}", f"Get the {what}", key, f"The {key}")]
    if draw.chance(0.3):
        schemas.append(schema(draw, function(draw)))
    word, sign = ("difference", "-") if difference else ("sum", "+")
    found = round(x - y if difference else x + y, 2)
    cores = [
        f"what is the {word} of the {what}s of {{a}} and {{b}}?",
        f"[get|find|look up] the {what} of {{a}} and of {{b}} and [compute|give me] the {word}[.|]",
        f"{word} of the {what} of {{a}} and {{b}}",
        f"[compute|I need] the {word} of the {what}s of {{a}} and {{b}}[.|]",
        f"!take the {what} of {{a}} and that of {{b}}, then the {word}",
    ]
    asked = [user(draw.say(cores, a=a, b=b))]
    for subject, value in ((a, x), (b, y)):
        asked += [call(f"get_{what}", {key: subject}), result({what: value})]
    run = python_run(draw, f"a = {x}\nb = {y}\nprint(round(a {sign} b, 2))", found)
    return schemas, ["code_interpreter"], asked + run + [answer(f"The {word} is {found}.")]


def message_to_chief(draw):
    """A search, then a function on what it found."""
    found = fact(draw, "chief executive")
    message = draw.choose(["message", "email", "gift", "invitation", "letter"])
    key = draw.choose(["to", "recipient", "name"])
    schemas = [simple_schema(f"send_{message}", f"Send a {message} to a person", key, "The person")]
    sent, said = function_result(draw)
    cores = [
        f"[send|please send|can you send] a {message} to the CEO of {{c}}[.|]",
        f"find out who [runs|leads] {{c}} and send them a {message}[.|]",
        f"[look up|search for] the CEO of {{c}} and send a {message}[.|]",
        f"!the head of {{c}} should get a {message}",
    ]
    asked = [user(draw.say(cores, c=found.subject)), call("brave_search", {"query": found.query})]
    hits = search_result(draw, found)
    done = [hits, call(f"send_{message}", {key: found.value}), sent, answer(said)]
    return schemas, ["brave_search"], asked + done
