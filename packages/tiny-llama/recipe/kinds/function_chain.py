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
    question = draw.ask(
        {"p": person},
        orders=[
            f"find the {noun} of {{p}} and {action} it",
            f"{action} the {noun} of {{p}}",
            f"{action} the {noun} [that belongs to|owned by|for|from] {{p}}",
            f"[look up|search|find|get|look for] the {noun} [of|for] {{p}}[, then| and then| and] {action} it",
            f"{action} {{p}}'s {noun}",
            f"[find|get|look up] {{p}}'s {noun} and {action} it",
            f"!take the {noun} that {{p}} has and {action} it",
        ],
        short=[
            f"{{p}} wants to {action} [a|the|this] {noun}. [Find it and {action} it|Please {action} it|Do it].",
            f"{{p}} [has|owns] a {noun}. [Please |]{action} it.",
            f"{{p}}'s {noun}: {action} it",
            f"{noun} of {{p}}: find and {action}",
            f"[the|] {noun} of {{p}}, {action} it[.|, please.|]",
            f"!the {noun} of {{p}} has to be found first, then {action} it",
        ],
    )
    asked = [user(question), call(finder, {by: person})]
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
    pieces = "[|pieces of |items of |units of |times |x ]"
    question = draw.ask(
        {"n": count, "i": item},
        nouns=[f"the [total |full |]{what} [of|for] {{n}} {pieces}{{i}}", f"the {what} of {{i}} times {{n}}"],
        questions=[
            f"what is the [total |]{what} [of|for] {{n}} {pieces}{{i}}",
            f"[how much is|what is] the {what} for {{n}} pieces of {{i}}",
            f"what [total |]{what} [do|does] {{n}} {pieces}{{i}} [have|make|give]",
            f"[for|with] {{n}} {pieces}{{i}}, what is the [total |]{what}",
        ],
        orders=[
            f"[get|find|look up] the {what} of {{i}} and [multiply it by|compute it for|work it out for] {{n}}",
            f"[compute|calculate|work out|find] the [total |]{what} [of|for] {{n}} {pieces}{{i}}",
            f"multiply the {what} of {{i}} by {{n}}",
            f"!work out the {what} of {{n}} units of {{i}}",
        ],
        short=[
            f"I [want|need|order|take|have] {{n}} {pieces}{{i}}. What is the [total |]{what}?",
            f"total {what} for {{n}} {{i}}",
            f"{what} [of|for] {{n}} {{i}}",
            f"{{n}} {{i}}, total {what}",
            f"{{n}} {{i}}: [total |]{what}?",
            f"!they ask for {{n}} times {{i}}, tell them the {what}",
        ],
    )
    asked = [user(question), call(f"get_{what}", {key: item}), result({what: value})]
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
    difference = draw.chance(0.5)
    schemas = [simple_schema(f"get_{what}", f"Get the {what}", key, f"The {key}")]
    if draw.chance(0.3):
        schemas.append(schema(draw, function(draw)))
    word, sign = ("difference", "-") if difference else ("sum", "+")
    found = round(x - y if difference else x + y, 2)
    both = (
        f"[the {what}s of {{a}} and {{b}}|the {what} of {{a}} and {{b}}|the {what} of {{a}} and the {what} of {{b}}"
        f"|the {what} of {{a}} and that of {{b}}]"
    )
    more = "how much [bigger|larger|more] is the {w} of {a} than [that|the {w}] of {b}".replace("{w}", what)
    together = "what [do|does] the {w} of {a} and {b} make [together|in total|in sum]".replace("{w}", what)
    question = draw.ask(
        {"a": a, "b": b},
        nouns=[
            f"the {word} of {both}",
            f"the {what} {word} of {{a}} and {{b}}",
            f"the {word} [between|from] {both}" if difference else f"the total of {both}",
        ],
        questions=[f"what is the {word} of {both}", more if difference else together],
        orders=[
            f"[get|find|look up] the {what} of {{a}} and of {{b}} and [compute|give me|find] the {word}",
            f"[compute|calculate|work out|find] the {word} of {both}",
            f"subtract the {what} of {{b}} from [that|the {what}] of {{a}}"
            if difference
            else f"[add|sum|sum up|add up] {both}",
            f"!take the {what} of {{a}} and that of {{b}}, then the {word}",
        ],
        short=[
            f"{word} of the {what} of {{a}} and {{b}}",
            f"{what} {{a}} {sign} {what} {{b}}",
            f"{{a}} and {{b}}: {word} of the {what}s",
            f"!{{a}} and {{b}} have a {what} each, I need the {word}",
        ],
    )
    asked = [user(question)]
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
    question = draw.ask(
        {"c": found.subject},
        orders=[
            f"[send|write|mail] [a|one] {message} to the [CEO|boss|head|chief executive] of {{c}}",
            f"find out who [runs|leads|heads] {{c}} and send [them|that person] a {message}",
            f"[look up|search for|find] the [CEO|boss|head] of {{c}} and send [him |her |them |]a {message}",
            f"send the [CEO|boss|head|chief executive] of {{c}} a {message}",
            f"!reach out with a {message} to the person at the top of {{c}}",
        ],
        short=[
            f"a {message} to the [CEO|boss|head] of {{c}}[, please|.|]",
            f"[who leads {{c}}?|who is the CEO of {{c}}?] [Send them a {message}|They should get a {message}].",
            f"the [CEO|boss] of {{c}} [needs|wants|gets] a {message}",
            f"!the head of {{c}} should get a {message}",
        ],
    )
    asked = [user(question), call("brave_search", {"query": found.query})]
    hits = search_result(draw, found)
    done = [hits, call(f"send_{message}", {key: found.value}), sent, answer(said)]
    return schemas, ["brave_search"], asked + done
