"""Computations over single numbers, money and shapes: see task.py."""

import math

from kinds.task import Task


def interest(draw):
    principal = draw.number(100, 999999)
    rate = draw.choose([draw.between(1, 12), round(draw.random.uniform(1, 9), 1)])
    years = draw.between(2, 40)
    found = round(principal * (1 + rate / 100) ** years, 2)
    rates = "[at|with] {i}%[| interest| a year| per year| yearly| compounded yearly| interest per year| each year]"
    phrasings = {
        "questions": [
            f"what do I have after {{y}} years [if I put|with|from] ${{p}} {rates}",
            f"how [far|much|high] does ${{p}} [grow|rise|get] in {{y}} years {rates}",
            f"what is left of ${{p}} after {{y}} years {rates}",
            f"how much [money |]does the bank pay me for ${{p}} [after|in] {{y}} years {rates}",
            f"what [will|would] ${{p}} be worth after {{y}} years {rates}",
            f"how much is ${{p}} after {{y}} years {rates}",
            "how much [will I have|do I get|is there|money will I have] [if I invest|if I save|from"
            f"|for] ${{p}} [for|over] {{y}} years {rates}",
            f"what [becomes|do I make] of ${{p}} in {{y}} years {rates}",
            f"what does ${{p}} grow to in {{y}} years {rates}",
            f"!to what does ${{p}} swell in {{y}} years {rates}",
        ],
        "nouns": [
            "the compound interest [on|for] ${p} at {i}% for {y} years",
            f"the value of ${{p}} after {{y}} years {rates}",
            f"what ${{p}} [will be|is] worth [in|after] {{y}} years {rates}",
        ],
        "orders": [
            "[compute|calculate|work out|find] [the |]compound interest [on|for] ${p} at {i}% [for|over] {y} years",
            f"[compute|calculate|work out|find] [what|how much] ${{p}} [is worth|becomes|is|grows to] [after"
            f"|in] {{y}} years {rates}",
        ],
        "short": [
            "the bank [gives|pays|offers] {i}% [a year|yearly|each year] [on|for] ${p}. [What do I have"
            "|How much is it|What is it worth|How much will I have] after {y} years?",
            "${p} [lie|stay|are|rest] in the bank for {y} years at {i}%. [What is it worth|How much is it"
            "|What do I have] then?",
            "[I invest|if I invest|suppose I put|say I save|I put|assume I invest|I have] ${p} at {i}% [interest "
            "|]compounded yearly for {y} years"
            "[. How much will I have?|, how much will I have?|. What do I get?|. What is it worth?]",
            "compound interest on ${p} at {i}% for {y} years[?|]",
            "[if I save|I save|I leave|I keep] ${p} for {y} years at {i}% a year[, what do I end up with?"
            "|. How much is that?|. How much do I get?]",
            "${p}, {i}%, {y} years: [compound interest|how much|what is it worth]?",
            "!my bank pays {i}% a year on ${p}. How much after {y} years?",
            "!for {y} years my ${p} earn {i}% every year; what have I then?",
        ],
    }
    code = (
        f"principal = {principal}\nrate = {rate} / 100\nyears = {years}\n"
        "print(round(principal * (1 + rate) ** years, 2))"
    )
    slots = {"p": principal, "i": rate, "y": years}
    return Task(phrasings, code, found, f"You will have ${found} after {years} years.", slots)


def factorial(draw):
    number = draw.between(3, 25)
    found = math.factorial(number)
    phrasings = {
        "nouns": [
            "the product of [the numbers |all numbers |all integers |]from 1 to {n}",
            "the factorial of [|the number ]{n}", "{n} factorial", "{n}!", "the value of {n} factorial",
        ],
        "orders": [
            "take the product of [the numbers |all numbers |]1 to {n}",
            "[compute|calculate|find|work out|get|determine|take|print] [the factorial of {n}|{n} factorial|{n}!]"
        ],
        "questions": [
            "what is the product of [all |the |][numbers|integers] from 1 to {n}",
            "what do [1 to {n}|the numbers 1 to {n}|all numbers up to {n}] [multiply to|give multiplied]",
            "how much is 1 times 2 times 3 and so on up to {n}",
            "what is [{n} factorial|the factorial of {n}|{n}!]",
            "how much is [{n} factorial|the factorial of {n}|{n}!]",
            "!what do you get when you multiply everything from 1 up to {n}",
        ],
        "clauses": ["what [{n} factorial|the factorial of {n}] is", "how much {n} factorial is"],
        "short": [
            "[factorial of {n}|{n}!|factorial {n}|{n} factorial|factorial: {n}|{n}, factorial]",
            "!multiply all numbers from 1 to {n}",
        ],
    }
    code = f"import math\nprint(math.factorial({number}))"
    return Task(phrasings, code, found, f"The factorial of {number} is {found}.", {"n": number})


def circle(draw):
    radius = draw.number(1, 999)
    found = round(math.pi * radius * radius, 2)
    round_ = "circle [with|of|that has] [|a ]radius [|of ]{n}"
    phrasings = {
        "nouns": [
            f"the [area|surface|area] of a {round_}",
            "the area of the circle whose radius is {n}",
            "the circle area for radius {n}",
        ],
        "orders": [
            f"[measure|give|tell me|print] the [area|surface|size] of a {round_}",
            f"[compute|calculate|find|work out|determine|get] the area of a {round_}",
            "[compute|calculate|find] the circle area [for|with] radius {n}",
            "!measure the space inside a circle of radius {n}",
        ],
        "questions": [
            f"how much [space|room|area] is [in|inside] a {round_}",
            f"how much area does a {round_} [cover|have|fill|take]",
            f"what surface has a {round_}",
            f"what [is the area of|area has] a {round_}",
            f"how [big|large] is [|the area of ]a {round_}",
            f"what area does a {round_} have",
            "!how much surface does a circle with radius {n} cover",
        ],
        "clauses": [f"how [big|large] [|the area of ]a {round_} is", f"what the area of a {round_} is"],
        "short": [
            f"area of a {round_}[|?]",
            "a circle has [a |]radius [of |]{n}. What is its area?",
            "circle, radius {n}: area?",
            "circle area, r = {n}",
            "my circle has radius {n}. [Area?|How big is it?|What is the area?]",
            "!r = {n}, what does the circle cover?",
        ],
    }
    code = f"import math\nprint(round(math.pi * {radius} ** 2, 2))"
    return Task(phrasings, code, found, f"The area of a circle with radius {radius} is {found}.", {"n": radius})


def hypotenuse(draw):
    a, b = draw.number(1, 999), draw.number(1, 999)
    found = round(math.hypot(a, b), 4)
    sides = "[legs|sides|short sides|legs of length|catheti] {a} and {b}"
    phrasings = {
        "nouns": [
            f"the hypotenuse of a [right |right-angled |]triangle with {sides}",
            f"the hypotenuse [for|with|from] {sides}",
            "the [length of the |]hypotenuse, legs {a} and {b}",
        ],
        "orders": [
            f"[compute|calculate|find|work out|determine] the hypotenuse [for|with|of a right triangle with] {sides}"
        ],
        "questions": [
            f"how long is the [long|longest|third|other] side of a right triangle with {sides}",
            f"what is the [long|longest|third] side of a right triangle with {sides}",
            f"what is the hypotenuse [for|with|of a right triangle with] {sides}",
            f"how long is the hypotenuse [for|with|of a triangle with] {sides}",
            "!two sides at a right angle are {a} and {b}, what does the third measure",
        ],
        "clauses": [
            f"how long the hypotenuse [for|with|of a right triangle with] {sides} is",
            "what the hypotenuse for {a} and {b} is",
        ],
        "short": [
            "a [right |right-angled |]triangle has legs {a} and {b}. [How long is|What is|Find"
            "|Compute] the hypotenuse[?|.]",
            "hypotenuse for legs {a} and {b}[?|]",
            "hypotenuse of {a} and {b}",
            "hypotenuse: {a}, {b}",
            "right triangle {a}, {b}: hypotenuse?",
            "!legs {a} and {b}: how long is the third side of the right triangle?",
        ],
    }
    code = f"import math\nprint(round(math.hypot({a}, {b}), 4))"
    return Task(phrasings, code, found, f"The hypotenuse is {found}.", {"a": a, "b": b})


def temperature(draw):
    degrees, to_celsius = draw.between(-40, 120), draw.chance(0.5)
    found = round((degrees - 32) * 5 / 9, 1) if to_celsius else round(degrees * 9 / 5 + 32, 1)
    source, target = ("Fahrenheit", "Celsius") if to_celsius else ("Celsius", "Fahrenheit")
    phrasings = {
        "questions": [
            "{n} [degrees |]{A} [makes|is|are|equals] [what|how much] in {B}",
            "what [reading|temperature] in {B} [is|would be] {n} [degrees |]{A}",
            "if [it is|the thermometer says|it says|I read] {n} [degrees |]{A}, what is [it|that] in {B}",
            "what [is|are|would be] {n} [degrees |]{A} in {B}",
            "how [warm|much|cold|hot] is {n} [degrees |]{A} in {B}",
            "how many degrees {B} [is|are|make] {n} [degrees |]{A}",
            "what does {n} [degrees |]{A} [mean|make|equal] in {B}",
            "!{n} {A} is how many degrees {B}",
            "!my thermometer says {n} {A}, what would one in {B} say",
        ],
        "orders": [
            "[calculate|compute|work out|find|tell me] {n} [degrees |]{A} in {B}",
            "[convert|change|turn|translate|recalculate] {n} [degrees |]{A} [to|into|in] {B}",
            "[write|give|say|show|express] {n} [degrees |]{A} in {B}",
        ],
        "nouns": [
            "{n} [degrees |]{A} in [degrees |]{B}",
            "the {B} [value|temperature|equivalent] [for|of] {n} [degrees |]{A}",
        ],
        "clauses": ["what {n} [degrees |]{A} [is|are] in {B}", "how [warm|much|cold] {n} [degrees |]{A} is in {B}"],
        "short": ["{n} [degrees |]{A} [in|to] {B}[?|]", "{n} {A} = ? {B}", "{n} {A} -> {B}", "{n} {A}, in {B}?"],
    }
    formula = f"({degrees} - 32) * 5 / 9" if to_celsius else f"{degrees} * 9 / 5 + 32"
    answer_text = f"{degrees} degrees {source} is {found} degrees {target}."
    return Task(phrasings, f"print(round({formula}, 1))", found, answer_text, {"n": degrees, "A": source, "B": target})


def percentage(draw):
    share, whole = draw.number(2, 99), draw.number(10, 999999)
    found = round(whole * share / 100, 2)
    phrasings = {
        "questions": [
            "if I [take|keep|get|pay|lose] {a}[%| percent] of {b}, how much is [it|that]",
            "how much is a {a}% [share|part|cut] of {b}",
            "what part of {b} is {a}%",
            "how much do I [get|pay|keep|lose] with {a}[%| percent] of {b}",
            "what is {a}[%| percent] of {b}",
            "how much [is|are|makes] {a}[%| percent] of {b}",
            "[which|what] number is {a}[%| percent] of {b}",
            "what [do|does] {a}[%| percent] of {b} [make|come to|equal]",
            "how much is that, {a}[%| percent] of {b}",
            "!take {a}% from {b}, how much is that part",
            "!of {b} I may keep {a}%, which is how much",
        ],
        "orders": [
            "[take|give me|tell me|say|show me] {a}[%| percent] [of|out of|from] {b}",
            "[compute|calculate|work out|find|determine|get|take|print] {a}[%| percent] of {b}",
        ],
        "nouns": [
            "a [share|part|cut|tip] of {a}[%| percent] [of|from] {b}",
            "{a}[%| percent] [out of|from] {b}",
            "{a}[%| percent] of {b}", "the value of {a}[%| percent] of {b}",
        ],
        "clauses": ["[what|how much] {a}[%| percent] of {b} [is|makes|are]"],
        "short": [
            "{a}% of {b}",
            "{a} percent of {b}",
            "{a}% of {b} = ?",
            "{b}: {a}%",
            "{a}%, {b}",
            "!a share of {a}% in {b}",
        ],
    }
    code = f"print(round({whole} * {share} / 100, 2))"
    return Task(phrasings, code, found, f"{share}% of {whole} is {found}.", {"a": share, "b": whole})
