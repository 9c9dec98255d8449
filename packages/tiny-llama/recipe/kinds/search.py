"""Conversations that search: one question, one query, one result, one answer; and searches that fail."""

from messages import answer, call, result, user

from kinds.fact import Fact
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
        search_result(draw, found),
        answer(found.answer),
    ]


def search_result(draw, found, most=3, query=None):
    """An object with ranked hits, one of which holds the fact; now and then just the sentence. Half of the other
    hits hold facts too, about something else: the model has to look at what a hit is about."""
    query = query or found.query
    if draw.chance(0.15):
        return result(found.sentence)
    count = min(most, draw.choose([1, 1, 1, 1, 2, 2, 3]))
    at = 0 if draw.chance(0.6) else draw.random.randrange(count)
    own_documents = draw.chance(0.5)
    hits = []
    for place in range(count):
        shown = found if place == at else other_fact(draw, found)
        hits.append(document_hit(draw, shown) if own_documents else web_hit(draw, query, shown))
    return result({"query": query, "top_k": hits})


def other_fact(draw, found):
    """A fact of the same kind or of another about another subject, or a sentence that says nothing."""
    if draw.chance(0.5):
        return Fact("", "", idle_sentence(draw), "", draw.name())
    return fact(draw, found.kind if draw.chance(0.5) else None)


def document_hit(draw, shown):
    """A hit in a collection of documents: the subject's or a list's title, a file or a document of that name."""
    title = (
        shown.subject if draw.chance(0.6) else draw.choose([shown.kind.capitalize() + "s", draw.name(), draw.title()])
    )
    title = title.strip() or draw.name()
    name = title.lower().replace(" ", "-").replace(",", "")
    url = draw.choose([f"{name}.md", f"{name}.json", f"document:{title.replace(' ', '%20')}", f"notes/{name}.txt"])
    return {"title": title, "url": url, "description": shown.sentence}


def web_hit(draw, query, shown):
    site = draw.name()
    title = draw.choose([query, query, shown.subject, site]) + draw.choose([" - " + site, " | " + site, ""])
    path = "/" + draw.word() if draw.chance(0.3) else ""
    url = f"https://www.{site.lower()}.{draw.choose(['com', 'org', 'net'])}{path}"
    hit = {"title": title, "url": url, "description": shown.sentence}
    return {**hit, "type": "search_result"} if draw.chance(0.4) else hit


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
        return asked + retried + [search_result(draw, found, query=again), answer(found.answer)]
    if which < 0.65:
        retried = [nothing(draw, found.query), call("brave_search", {"query": again}), nothing(draw, again)]
        return asked + retried + [answer(f"I could not find an answer about {found.subject}.")]
    error = draw.choose(
        [
            "service unavailable",
            "timeout",
            "rate limit reached",
            "network error",
            "invalid key",
            "The tool brave_search failed",
            "The tool brave_search did not answer within 30000 ms",
        ]
    )
    return asked + [result(draw.choose([{"error": error}, "Error: " + error])), answer(f"The search failed: {error}.")]


def nothing(draw, query):
    empty = {"query": query, "top_k": []}
    return result(draw.choose([empty, empty, [], "No results found."]))
