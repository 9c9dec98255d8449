"""Facts of the world of the conversations by their kind."""

from kinds.facts_of_companies import chief_executive, founding_year, news, share_price
from kinds.facts_of_places import capital, height, match_score, population, weather
from kinds.facts_of_titles import author, film_year

FACTS = {
    "weather": weather,
    "population": population,
    "chief executive": chief_executive,
    "author": author,
    "news": news,
    "share price": share_price,
    "film year": film_year,
    "height": height,
    "capital": capital,
    "founding year": founding_year,
    "match score": match_score,
}
#: Weather is asked twice as often as anything else.
KINDS = ["weather", *FACTS]


def fact(draw, kind=None):
    kind = kind or draw.choose(KINDS)
    found = FACTS[kind](draw)
    found.kind = kind
    return found
