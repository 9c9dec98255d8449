"""Divisors, primes, units: see problem.py."""

import math

from words import UNIT_PAIRS

from kinds.problem import Problem


def common_number(draw, short, long, compute, wide, plain, held_out, order):
    a, b = draw.number(4, 99999), draw.number(4, 99999)
    expression, found = f"{a} and {b}", str(compute(a, b))
    phrasings = {
        "orders": [
            f"[compute|calculate|find|work out|determine] the [{long}|{short}|{long}] of {{e}}",
            "!" + order,
        ],
        "nouns": [
            f"the [{long}|{short}|{long}] of [|the numbers ]{{e}}",
            f"the [{wide}] [of|for] {{e}}",
            f"the [{long}|{short}] for {{e}}",
            plain,
        ],
        "questions": [
            f"what is the [{long}|{short}|{wide}] of {{e}}",
            f"what [{short}|{long}] do {{e}} have",
            f"which number is the [{long}|{wide}] of {{e}}",
            f"[what|which] is {plain}",
            held_out,
        ],
        "clauses": [f"what the [{long}|{short}|{wide}] of {{e}} is", f"which number is the [{long}] of {{e}}"],
        "short": [f"[{short} of {{e}}|{long} of {{e}}|{short}: {{e}}|{{e}}, {short}|{short} {{e}}|{wide} of {{e}}]"],
    }
    code = f"import math\nprint(math.{short}({a}, {b}))"
    answer_text = f"The {long} of {expression} is {found}."
    return Problem(phrasings, expression, f"{short} of {expression}", found, answer_text, code=code)


def gcd(draw, _):
    wide = "greatest common factor|highest common factor|largest common divisor|biggest common divisor"
    plain = (
        "the [greatest|largest|biggest|highest] [|common |whole ]number [that is a divisor of|by which I can divide"
        "|into which one can divide|that is a factor of] [|both ]{e}"
    )
    held_out = "!which is the biggest number that divides {e}"
    order = "find the largest number that goes into both {e}"
    return common_number(draw, "gcd", "greatest common divisor", math.gcd, wide, plain, held_out, order)


def lcm(draw, _):
    wide = "lowest common multiple|smallest common multiple|least multiple in common"
    plain = (
        "the [smallest|lowest|least|first] [|common |whole ]number [that is a multiple of|that can be divided by"
        "|divisible by|that is divisible by] [|both ]{e}"
    )
    held_out = "!what is the smallest number that {e} both divide"
    order = "find the first number that is in the tables of {e}"
    return common_number(draw, "lcm", "least common multiple", math.lcm, wide, plain, held_out, order)


def factors(draw, _):
    number = draw.number(10, 999999)
    found = " * ".join(str(draw.between(2, 97)) for _ in range(draw.between(1, 3)))
    phrasings = {
        "orders": [
            "[find|show|list|get|give me] the [primes|prime numbers] [of|in|that divide|which multiply to"
            "|that give] {e}",
            "write {e} as a [product|multiplication|product of primes]",
            "[divide|resolve|dissolve|cut|separate] {e} into [primes|prime factors|prime numbers]",
            "[factor|factorise|factorize|factor out|decompose|split] [|the number ]{e}",
            "[find|list|give|compute|show|determine] [the |all ]prime factors of {e}",
            "[write|split|decompose|factor|express] {e} [into|as a product of|in] [primes|prime factors"
            "|its prime factors|prime numbers]",
            "!break {e} down into primes",
            "!take {e} apart into its primes",
        ],
        "nouns": [
            "the prime factors of {e}",
            "the prime [factorization|factorisation|decomposition|factors] of {e}",
            "the [factors|factorization|divisors that are prime] of {e}",
            "!the primes whose product is {e}",
        ],
        "questions": [
            "what primes [make|give|multiply to|are inside] {e}",
            "which primes do I multiply to get {e}",
            "by which [primes|prime numbers] can {e} be divided",
            "what is {e} as a product of [primes|prime numbers]",
            "what does {e} [consist of|break into] in primes",
            "what are the [prime factors|prime divisors|factors] of {e}",
            "which primes [divide|make up|are in] {e}",
            "which prime numbers [divide|are factors of] {e}",
            "how does {e} [factor|factorise|split into primes]",
            "!out of which primes is {e} made",
        ],
        "clauses": [
            "which primes [give|multiply to|make] {e}",
            "how {e} [is split|splits|can be split] into primes",
            "what the prime factors of {e} are", "which primes divide {e}", "how {e} factors",
        ],
        "short": [
            "prime factors of {e}",
            "{e} [factored|prime factors|factorization|factors]",
            "factor: {e}",
            "factors of {e}",
        ],
    }
    return Problem(phrasings, number, f"factor {number}", found, f"The prime factorization of {number} is {found}.")


def prime(draw, _):
    number, is_prime = draw.number(11, 999999), draw.chance(0.5)
    found = f"{number} is {'' if is_prime else 'not '}a prime number"
    phrasings = {
        "questions": [
            "does {e} count as [a |]prime[| number]",
            "is {e} [only divisible|divisible only] by [itself and 1|1 and itself]",
            "is {e} [one of the primes|among the primes|a member of the primes]",
            "[are there numbers that divide|does any number divide|is there a number that divides] {e}",
            "has {e} any [divisors|factors]",
            "is {e} [prime|a prime|a prime number|prime or not|really prime]",
            "[would|can] {e} be [prime|a prime number]",
            "{e} is [prime|a prime|a prime number], [right|true|or not|yes or no]",
            "is [the number|this number|this a prime:] {e} [a prime number|prime]",
            "can [we|you|I] call {e} a prime",
            "!does {e} have divisors other than 1 and itself",
            "!can {e} be divided, or is it a prime",
        ],
        "orders": [
            "[check|find out|test|verify|see|say] [if|whether] {e} is [prime|a prime|a prime number]",
            "[test|check] {e} for [being prime|being a prime|primality]",
        ],
        "clauses": [
            "[if|whether] {e} [counts as a prime|is one of the primes|is among the primes|has any divisors"
            "|can be divided]",
            "[if|whether] {e} is [prime|a prime|a prime number|prime or not]",
            "!whether {e} belongs to the primes",
        ],
        "short": ["{e} prime?", "prime: {e}?", "is {e} prime", "prime or not: {e}", "{e} a prime number?"],
    }
    return Problem(phrasings, number, f"is {number} prime", found, f"{'Yes' if is_prime else 'No'}, {found}.")


def units(draw, _):
    source, target = draw.choose(UNIT_PAIRS)
    source, target = (source, target) if draw.chance(0.5) else (target, source)
    amount = draw.number(2, 9999)
    found = f"{draw.between(1, 9999)}.{draw.between(1, 99)} {target}"
    phrasings = {
        "orders": [
            "[calculate|compute|work out|find|get|tell me|read] {e} in {w}",
            "[exchange|swap|rewrite|restate] {e} [to|into|in|as] {w}",
            "[convert|change|turn|translate|bring|transform|recalculate|put] {e} [to|into|in] {w}",
            "convert {e} to {w}",
            "[write|give|show|say|state] {e} in {w}",
            "!express {e} as {w}",
        ],
        "nouns": [
            "{e} [expressed|measured|given|written|stated|converted] in {w}",
            "the [count|quantity] of {w} in {e}",
            "{e} in {w}",
            "the number of {w} in {e}",
            "the [value|amount|equivalent] [of {e} in {w}|in {w} of {e}]",
            "!the {w} that {e} come to",
        ],
        "questions": [
            "how many {w} [do|would|will] {e} [make|be|give]",
            "how many {w} do I need for {e}",
            "what do {e} [come to|make|give] in {w}",
            "what [is|are] {e} [called |written |expressed |]in {w}",
            "how many {w} [are|is|are in|make|are there in|do I get from|equal|correspond to] {e}",
            "what [is|are|would be] {e} in {w}",
            "how much is {e} in {w}",
            "{e} [is|are|make|makes|equals|equal] how many {w}",
            "how much are {e} [in|as] {w}",
            "!with {e} I have how many {w}",
        ],
        "clauses": [
            "how many {w} one gets for {e}",
            "what {e} [come to|make|would be] in {w}",
            "how many {w} {e} [are|make|is|would be]",
            "what {e} [is|are] in {w}",
            "how much {e} [is|are] in {w}",
            "how many {w} are in {e}",
            "!what {e} would be called in {w}",
        ],
        "short": [
            "{e} in {w}",
            "{e} to {w}",
            "{e} = ? {w}",
            "{e} -> {w}",
            "{e} as {w}",
            "{e}, [how many {w}|in {w}|to {w}]?",
        ],
    }
    query = f"convert {amount} {source} to {target}"
    return Problem(phrasings, f"{amount} {source}", query, found, f"{amount} {source} is {found}.", target)
