"""Conversations that search: one question, one query, one result, one answer; and searches that fail."""

from messages import answer, call, result, user

from kinds.facts import fact

NO_SEARCH = "I cannot look that up: I have no search tool here."


def search_episode(draw, builtins):
    found = fact(draw)
    if "brave_search" not in builtins:
        return [user(found.question), answer(NO_SEARCH)]
    if draw.chance(0.05):
        return failed_search(draw, found)
    return [
        user(found.question),
        call("brave_search", {"query": found.query}),
        search_result(draw, found.query, found.sentence),
        answer(found.answer),
    ]


def search_result(draw, query, sentence, most=3):
    """An object with ranked hits, one of which holds the sentence; one time in eight just the sentence."""
    if draw.chance(0.12):
        return result(sentence)
    count = min(most, draw.choose([1, 1, 2, 2, 3]))
    at = 0 if draw.chance(0.6) else draw.random.randrange(count)
    hits = [hit(draw, query, sentence if place == at else idle_sentence(draw)) for place in range(count)]
    return result({"query": query, "top_k": hits})


def hit(draw, query, description):
    site = draw.name()
    title = draw.choose([query, query, site]) + draw.choose([" - " + site, " | " + site, ""])
    url = f"https://www.{site.lower()}.{draw.choose(['com', 'org', 'net'])}/{draw.word()}"
    found = {"title": title, "url": url, "description": description}
    return {**found, "type": "search_result"} if draw.chance(0.4) else found


def idle_sentence(draw):
    return draw.choose(
        [
            f"Find more about {draw.name()} here.",
            f"{draw.name()} guide and tips.",
            f"Read about {draw.name()} in {draw.between(1990, 2025)}.",
            "Sign in to see more.",
        ]
    )


def failed_search(draw, found):
    """Nothing found at first, nothing found at all, or an error."""
    which = draw.random.random()
    again = found.subject + " information"
    asked = [user(found.question), call("brave_search", {"query": found.query})]
    if which < 0.35:
        retried = [nothing(draw, found.query), call("brave_search", {"query": again})]
        return asked + retried + [search_result(draw, again, found.sentence), answer(found.answer)]
    if which < 0.65:
        retried = [nothing(draw, found.query), call("brave_search", {"query": again}), nothing(draw, again)]
        return asked + retried + [answer(f"I could not find an answer about {found.subject}.")]
    error = draw.choose(["service unavailable", "timeout", "rate limit reached", "network error", "invalid key"])
    return asked + [result(draw.choose([{"error": error}, "Error: " + error])), answer(f"The search failed: {error}.")]


def nothing(draw, query):
    empty = {"query": query, "top_k": []}
    return result(draw.choose([empty, empty, [], "No results found."]))
