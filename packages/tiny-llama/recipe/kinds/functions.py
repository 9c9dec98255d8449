"""Made-up functions with confusable names, their JSON schemas, and requests that call for one of them."""

from dataclasses import dataclass, field, replace

from words import ATTRIBUTES, HELD_OUT_ATTRIBUTES, HELD_OUT_NOUNS, HELD_OUT_VERBS, NOUNS, VERBS

from kinds.pairs import Pair, pair
from kinds.parameters import parameters


@dataclass
class Function:
    verb: str
    noun: str
    attribute: str | None = None  # set for a getter
    name: str = ""
    description: str = ""
    parameters: list = field(default_factory=list)
    pair: Pair | None = None


def function(draw, verb=None, noun=None):
    verb = verb or (new_or_known(draw, VERBS, HELD_OUT_VERBS, 0.5) if draw.chance(0.75) else draw.word())
    noun = noun or (new_or_known(draw, NOUNS, HELD_OUT_NOUNS, 0.5) if draw.chance(0.7) else draw.word())
    made = Function(verb, noun)
    words = name_words(draw, made)
    if draw.chance(0.05):
        words = [draw.word(), draw.word()]  # an opaque name: only the description helps
    made.name = "_".join(words) if draw.chance(0.8) else words[0] + "".join(w.capitalize() for w in words[1:])
    if draw.chance(0.1):
        made.name = draw.word() + draw.choose(["__", "__", "_"]) + made.name  # as a server of tools puts its name before
    if not made.attribute and draw.chance(0.18):
        made.pair = pair(draw)
    add_parameters(draw, made)
    return made if made.parameters or made.pair else function(draw, verb, noun)


def new_or_known(draw, known, new, share):
    """In the test split `share` of the words come from the list that training never sees."""
    return draw.choose(new if draw.held_out and draw.chance(share) else known)


def name_words(draw, made):
    """Sets the description and gives the words of the name: verb and noun, or a getter's noun and attribute."""
    verb, noun = made.verb, made.noun
    if draw.chance(0.3):
        attribute = new_or_known(draw, ATTRIBUTES, HELD_OUT_ATTRIBUTES, 0.4) if draw.chance(0.85) else draw.word()
        made.attribute = attribute
        words = [draw.choose(["get", "get", "find", "lookup", "fetch"]), noun, attribute]
        made.description = draw.choose(
            [
                f"Get the {attribute} of a {noun}",
                f"Returns the {attribute} of a {noun}",
                f"Look up the {attribute} for a {noun}.",
                f"{attribute.capitalize()} of a {noun}",
                f"Tells the {attribute} of the {noun}",
                f"The {noun}'s {attribute}",
            ]
        )
        return words
    words = [verb, noun] if draw.chance(0.85) else [noun, verb]
    made.description = draw.choose(
        [
            f"{verb.capitalize()} a {noun}",
            f"{verb.capitalize()} the {noun}",
            f"Use this to {verb} a {noun}",
            f"Lets you {verb} a {noun}.",
            f"{verb.capitalize()} a {noun} of the user",
            f"{verb.capitalize()} one {noun}",
            f"{verb.capitalize()}s a {noun}",
        ]
    )
    return words


def add_parameters(draw, made):
    used = set(made.pair.keys) if made.pair else set()
    templates = parameters(draw)
    count = draw.choose([1, 1, 1, 2, 2, 2, 3, 3, 4, 5]) - (1 if made.pair else 0)
    for template in draw.random.sample(templates, count):
        key = draw.choose(template.keys)
        if key in used or (template.options and made.attribute):
            continue
        used.add(key)
        made.parameters.append(with_key(draw, template, key, first=not made.parameters))
    remove_ambiguous_phrases(made)


#: Phrases that do not say which of several names or numbers is meant.
GENERIC = {"for {v}", "at {v}", "to {v}", "{v}", "number {v}", "of {v}", "!from {v} on"}


def remove_ambiguous_phrases(made):
    """Where several parameters take free text, or a number may be an id, a phrase must say which one it gives."""
    open_text = [p for p in made.parameters if p.type == "string" and not p.options]
    numeric = [p for p in made.parameters if p.type in ("integer", "number")]
    if len(open_text) + (len(made.pair.keys) if made.pair else 0) + (1 if numeric else 0) < 2:
        return
    for parameter in open_text + numeric:
        kept = [phrase for phrase in parameter.phrases if phrase not in GENERIC]
        parameter.phrases = kept or [f"with {parameter.key.replace('_', ' ')} {{v}}"]


def with_key(draw, template, key, first):
    spoken = key.replace("_", " ")
    chosen = replace(template, key=key)
    if chosen.options:
        chosen.options = list(chosen.options)
        draw.random.shuffle(chosen.options)
    if chosen.type == "boolean":
        chosen.yes = [phrase.replace("{k}", spoken) for phrase in chosen.yes]
        chosen.no = [phrase.replace("{k}", spoken) for phrase in chosen.no]
    elif chosen.phrases is None or not draw.chance(0.8):
        chosen.phrases = [
            f"with {spoken} {{v}}",
            f"with the {spoken} {{v}}",
            f"with a {spoken} of {{v}}",
            f"with {{v}} as {spoken}",
            f"where {spoken} is {{v}}",
            f"where the {spoken} is {{v}}",
            f"whose {spoken} is {{v}}",
            f"{spoken} {{v}}",
            f"{spoken}: {{v}}",
            f"{spoken} = {{v}}",
            f"{spoken} is {{v}}",
            f"the {spoken} is {{v}}",
            f"({spoken} {{v}})",
            f"({spoken}: {{v}})",
            f"and {spoken} {{v}}",
            f"using {{v}} as {spoken}",
            f"using {spoken} {{v}}",
            f"by {spoken} {{v}}",
            f"set {spoken} to {{v}}",
            f"given {spoken} {{v}}",
            f"{{v}} as the {spoken}",
            f"{{v}} as {spoken}",
            f"having {spoken} {{v}}",
            f"{spoken} should be {{v}}",
            f"the {spoken} should be {{v}}",
            f"the {spoken} being {{v}}",
            f"choose {{v}} as {spoken}",
            f"choose {{v}} for {spoken}",
            f"{{v}} for {spoken}",
            f"take {{v}} as {spoken}",
            f"use {{v}} as the {spoken}",
            f"and its {spoken} is {{v}}",
            f"make the {spoken} {{v}}",
            f"{spoken} must be {{v}}",
            f"with {{v}} for {spoken}",
            f"!let the {spoken} be {{v}}",
            f"!{{v}} goes in as {spoken}",
        ]
    chosen.optional = draw.chance(0.25) and not first
    return chosen


def functions(draw):
    """One to five functions; neighbours often share the verb or the noun."""
    count = draw.choose([1, 1, 1, 2, 2, 2, 3, 3, 4, 5])
    made, tries = [function(draw)], 0
    while len(made) < count and tries <= 30:
        neighbour, likeness = draw.choose(made), draw.random.random()
        if likeness < 0.35:
            new = function(draw, noun=neighbour.noun)
        elif likeness < 0.6:
            new = function(draw, verb=neighbour.verb)
        else:
            new = function(draw)
        if not any(same_purpose(old, new) for old in made):
            made.append(new)
        tries += 1
    return made


def same_purpose(a, b):
    if a.name == b.name:
        return True
    return a.attribute == b.attribute and a.noun == b.noun and (b.attribute is not None or a.verb == b.verb)


def schema(draw, made):
    """The JSON Schema of a function, seven times of eight inside `{"type": "function", "function": …}`."""
    properties, required = {}, []
    for key in made.pair.keys if made.pair else []:
        properties[key] = {"type": made.pair.type, "description": key.replace("_", " ").capitalize()}
        required.append(key)
    for parameter in made.parameters:
        described = {"type": parameter.type}
        if parameter.options and draw.chance(0.5):
            described["enum"] = parameter.options  # before the description or behind it
        if not (parameter.type == "boolean" and draw.chance(0.3)):
            described["description"] = parameter.description
        if parameter.options:
            described["enum"] = parameter.options
        properties[parameter.key] = described
        if not parameter.optional:
            required.append(parameter.key)
    arguments = {"type": "object", "properties": properties, "required": required}
    described = {"name": made.name, "description": made.description, "parameters": arguments}
    if draw.chance(0.08):
        del arguments["required"]
    return described if draw.chance(0.12) else {"type": "function", "function": described}


def request(draw, made):
    """(sentence, arguments in the order of the schema)"""
    arguments, parts, subject = {}, [], None
    if made.pair:
        values = made.pair.values()
        arguments.update(zip(made.pair.keys, values))
        parts.append(draw.pick(made.pair.phrases).replace("{a}", str(values[0])).replace("{b}", str(values[1])))
    for parameter in made.parameters:
        if parameter.optional and draw.chance(0.45):
            continue
        if parameter.type == "boolean":
            on = arguments[parameter.key] = draw.chance(0.5)
            parts.append(draw.choose(parameter.yes if on else parameter.no))
            continue
        value = arguments[parameter.key] = draw.choose(parameter.options) if parameter.options else parameter.value()
        shown = shown_value(draw, parameter, value)
        names_subject = made.attribute and subject is None and parameter.phrases
        if names_subject and parameter.type == "string" and not parameter.options:
            subject = shown
        else:
            parts.append(draw.pick(parameter.phrases).replace("{v}", shown))
    draw.random.shuffle(parts)
    tail = "".join(draw.choose([" ", " ", " ", ", ", " and "]) + part for part in parts)
    tail = tail.replace("{", "(").replace("}", ")")
    return (attribute_request if made.attribute else action_request)(draw, made, subject, tail), arguments


def shown_value(draw, parameter, value):
    """A value as a request writes it: an option in other case, a long number with commas."""
    shown = str(value)
    if parameter.options and draw.chance(0.15):
        shown = shown.lower() if draw.chance(0.6) else shown.capitalize()
    if parameter.type == "integer" and value > 9999 and draw.chance(0.15):
        shown = f"{value:,}"
    return shown


def attribute_request(draw, made, subject, tail):
    noun, attribute = made.noun, made.attribute
    of = "[ {a}| {a}| of {a}| {a}]" if subject else ""
    owner = "[the |a |this |]"
    phrase = f"the [{attribute} of {owner}{noun}|{attribute} for {owner}{noun}|{noun} {attribute}]{of}{{t}}"
    return draw.ask(
        {"a": subject, "t": tail},
        nouns=[phrase, phrase, phrase, f"the {attribute} [a|the] {noun}{of} has{{t}}"],
        questions=[
            f"[which|what] {attribute} [belongs to|goes with|is given for|is known for|is on] {owner}{noun}{of}{{t}}",
            f"does {owner}{noun}{of}{{t}} have [a|an] {attribute}[, and which| and what is it|]",
            f"is there [a|an] {attribute} [for|of] {owner}{noun}{of}{{t}}",
            f"what is the {attribute} of {owner}{noun}{of}{{t}}",
            f"what {attribute} [does|has] {owner}{noun}{of} [have|]{{t}}",
            f"what {attribute} does {owner}{noun}{of}{{t}} have",
            f"which {attribute} has {owner}{noun}{of}{{t}}",
            f"!can {owner}{noun}{of}{{t}} be found, I mean its {attribute}",
        ],
        clauses=[f"what the {attribute} of {owner}{noun}{of}{{t}} is", f"what {attribute} {owner}{noun}{of} has{{t}}"],
        orders=[f"[get|find|fetch|look up|check|show|read] {phrase}", "!report " + phrase],
        short=[
            f"{noun}{of}{{t}}, [I need|I want|give me|tell me|show me] the {attribute}",
            f"{noun}{of}{{t}} - [the |]{attribute}[ please|?|]",
            f"[here is|this is|there is|it is about] {owner}{noun}{of}{{t}}. [What is|Give me|Find|Tell me"
            f"|I need|Get] [its|the] {attribute}[?|.]",
            f"{attribute}: {noun}{of}{{t}}",
            f"{attribute} [please|wanted|needed]: {noun}{of}{{t}}",
            f"{noun}{of}{{t}}: what is the {attribute}?",
            f"{noun} {attribute}{of}{{t}}",
            f"{attribute} of {noun}{of}{{t}}",
            f"{noun}{of}{{t}}, {attribute}[?|]",
            f"!I have the {noun}{of}{{t}} before me and miss the {attribute}",
        ],
    )


def action_request(draw, made, _, tail):
    verb, noun = made.verb, made.noun
    article = "[the|a|my|this|one|our|the|a|that|another]"
    return draw.ask(
        {"t": tail},
        orders=[
            f"{verb} {article} {noun}{{t}}",
            f"{verb} {article} {noun}{{t}}",
            f"{verb} {article} {noun}{{t}}",
            f"{verb} {noun}{{t}}",
            f"{verb} [me|us] {article} {noun}{{t}}",
        ],
        questions=[
            f"[is it possible|are you able|is it your job|is there a way] to {verb} {article} {noun}{{t}}",
            f"[who can|can anybody|can somebody|may I ask you to|might you] {verb} {article} {noun}{{t}}",
            f"[would you|will you|can you|could you|do you] {verb} {article} {noun}{{t}}",
            f"can {article} {noun}{{t}} be handled - {verb} it",
        ],
        short=[
            f"[what I want is|my wish is|the task is|the job is|all I ask is|the plan is"
            f"|the goal is] to {verb} {article} {noun}{{t}}",
            f"[remember|don't forget|be sure|make sure|try|start|I forgot|it is time] to {verb} {article} {noun}{{t}}",
            f"[there is|we have|I have|I see] {article} {noun} to {verb}{{t}}",
            f"[action|command|operation|job|to do]: {verb} {noun}{{t}}",
            f"{noun}{{t}} - {verb}[ it| please|]",
            f"[do|perform|run] {verb} [on|for] {article} {noun}{{t}}",
            f"{article} {noun}{{t}}: [please |]{verb} it[.|]",
            f"{noun}{{t}}, {verb} it[| please| now]",
            f"{noun}{{t}}: {verb}[.|!|]",
            f"{verb} {noun}{{t}}[.||]",
            f"[I have|here is|there is|we have] {article} {noun}{{t}}[. Please| and you should|. Could you"
            f"|, please] {verb} it[.|]",
            f"[what about|how about] {article} {noun}{{t}}? {verb} it[.|, please.]",
            f"{verb}: {noun}{{t}}",
            f"{verb} it: {article} {noun}{{t}}",
            f"!it would be great if you could {verb} the {noun}{{t}}",
            f"!next job: {verb} a {noun}{{t}}",
            f"!nothing is more urgent than to {verb} the {noun}{{t}}",
        ],
    )
