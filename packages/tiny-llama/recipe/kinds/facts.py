"""Facts of the world of the conversations: a question, the query that finds the answer, the sentence that a search
result holds, and the answer. All of it is made up.
"""

from dataclasses import dataclass

from words import CONDITIONS


@dataclass
class Fact:
    question: str
    query: str
    sentence: str
    answer: str
    subject: str
    value: str | None = None  # the number or the name that further steps work with
    kind: str = ""


def fact(draw, kind=None):
    kind = kind or draw.choose(KINDS)
    found = FACTS[kind](draw)
    found.kind = kind
    return found


def weather(draw):
    if draw.chance(0.96):
        place = draw.place()
    else:
        place = draw.choose(["Menlo Park, California", "Menlo Park"])
    sky, high = draw.choose(CONDITIONS), draw.between(20, 110)
    low = high - draw.between(4, 25)
    phrases = [
        "the [weather|current weather|weather forecast|temperature] in {c}[| today| right now| this week]",
        "the weather [for|at|around] {c}",
        "!the conditions outside in {c}",
    ]
    further = [
        "[how is|how's] the weather [|like ]in {c}[| today| right now| at the moment]?",
        "what's the weather like in {c}[| today]?",
        "[weather in {c}|weather {c}|{c} weather|{c} weather today|forecast for {c}|weather forecast {c}]",
        "is it [warm|cold|hot|raining|sunny|windy|nice] in {c}[| today| right now]?",
        "[will it rain|do I need an umbrella|do I need a coat] in {c}[| today]?",
        "I am [travelling to|flying to|going to|visiting] {c}[| today]. "
        "[What is the weather there?|What is the weather like?|How is the weather?]",
        "how [warm|cold|hot] is it in {c}[| now| today]?",
        "what is the current weather in {c}?",
        "!how does it look outside in {c}?",
        "!should I dress warm for {c}?",
    ]
    question = draw.say(draw.about(phrases, further), c=place)
    sentence = draw.choose(
        [
            f"{place} weather today: {sky}, high of {high}°F, low of {low}°F.",
            f"Current conditions in {place}: {sky}. Hi: {high}°F Lo: {low}°F.",
            f"Today in {place} it is {sky} with a high near {high}°F and a low around {low}°F.",
            f"{place}: {sky.capitalize()} today. High {high}°F. Low {low}°F.",
        ]
    )
    answer = f"The current weather in {place} is {sky} with a high of {high}°F and a low of {low}°F."
    return Fact(question, f"current weather in {place}", sentence, answer, place)


def population(draw):
    place, number = draw.place(), draw.number(100, 999999999)
    shown = f"{number:,}" if draw.chance(0.4) else str(number)
    phrases = [
        "the population of {c}",
        "the number of [people|inhabitants|residents] in {c}",
        "!the head count of {c}",
    ]
    further = [
        "how many [people|inhabitants|residents] [live in|are there in|does] {c}[| have]?",
        "how [big|large] is the population of {c}?",
        "[population of {c}|{c} population|population {c}]",
        "how many [people|persons] are living in {c}[| now]?",
        "!how populous is {c}?",
    ]
    question = draw.say(draw.about(phrases, further), c=place)
    sentence = draw.choose(
        [
            f"The population of {place} was {shown} at the last census.",
            f"{place} has a population of {shown}.",
            f"{place} - Population: {shown} ({draw.between(2018, 2025)} estimate)",
            f"About {shown} people live in {place}.",
        ]
    )
    answer = f"The population of {place} is {shown}."
    return Fact(question, f"{place} population", sentence, answer, place, shown.replace(",", ""))


def chief_executive(draw):
    company, person = draw.company(), draw.person()
    phrases = [
        "the [CEO|chief executive|boss|head|chief executive officer] of {c}",
        "!the top manager at {c}",
    ]
    further = [
        "[who is|who's] the [current |new |]CEO of {c}?",
        "who [runs|leads|heads|is in charge of|is running|manages] [|the company ]{c}[| now| these days]?",
        "name the [CEO|boss] of {c}.",
        "[{c} CEO|CEO {c}|CEO of {c}|{c} boss]",
        "[tell me|do you know|can you find out] who [runs|leads|is the CEO of] {c}.",
        "!who sits at the top of {c}?",
    ]
    question = draw.say(draw.about(phrases, further), c=company)
    sentence = draw.choose(
        [
            f"{person} is the CEO of {company} since {draw.between(2000, 2024)}.",
            f"{company} is led by chief executive {person}.",
            f"In {draw.between(2000, 2024)}, {company} named {person} as its CEO.",
            f"{company} - CEO: {person}",
        ]
    )
    return Fact(question, f"{company} CEO", sentence, f"The CEO of {company} is {person}.", company, person)


def author(draw):
    title, person = draw.title(), draw.person()
    phrases = ["the [author|writer] of [|the book |the novel ]{t}", "!the person who penned {t}"]
    further = [
        "who [wrote|is the author of|authored] [|the book |the novel ]{t}?",
        "[author of the book {t}|{t} author|author {t}|who wrote {t}]",
        "[which|what] [author|writer] wrote [|the book ]{t}?",
        "[by whom|by which author] was [|the book |the novel ]{t} written?",
        "[tell me|do you know|I want to know] who wrote [|the book ]{t}.",
        "!whose book is {t}?",
    ]
    question = draw.say(draw.about(phrases, further), t=title)
    sentence = draw.choose(
        [
            f"{title} is a novel by {person}, published in {draw.between(1850, 2020)}.",
            f"{title} was written by {person}.",
            f"{person} is best known as the author of {title}.",
        ]
    )
    return Fact(question, f"{title} author", sentence, f"{title} was written by {person}.", title)


def news(draw):
    subject = draw.company() if draw.chance(0.5) else draw.city()
    building = draw.choose(["factory", "park", "library", "office", "bridge"])
    opening = f"{subject} opens a new {building} in {draw.city()}"
    event = draw.choose(["merger", "festival", "partnership", "record year"])
    announcement = f"{subject} announces a {event} with {draw.company()}"
    headline = draw.choose([opening, announcement, f"{draw.person()} visits {subject}"])
    phrases = ["the [latest|newest|recent] news [about|on|from] {c}", "!the headlines about {c}"]
    further = [
        "[any|is there any|do you have] news [on|about|from] {c}?",
        "[latest news about {c}|news {c}|{c} news|latest {c} news]",
        "what [happened at|happened in|is going on at|is new with|is new at] {c}[| recently| lately]?",
        "[what is the latest|what's the latest|what's new] [about|on|with|at] {c}?",
        "!what are people writing about {c}?",
    ]
    question = draw.say(draw.about(phrases, further), c=subject)
    sentence = draw.choose([f"{headline}.", f"News: {headline}.", f"{draw.date().isoformat()} - {headline}."])
    return Fact(question, f"latest news {subject}", sentence, f"The latest news: {headline}.", subject)


def share_price(draw):
    company, price = draw.company(), f"{draw.between(1, 999)}.{draw.between(0, 99):02d}"
    phrases = [
        "the [|current ][stock price|share price|price of one share|price of a share] of {c}",
        "the [stock|share] price [for|of] {c}[| today| right now]",
        "!the market quote for {c}",
    ]
    further = [
        "[how much is|how much does] one share of {c}[| cost| now]?",
        "[stock price of {c}|{c} stock|{c} stock price|{c} share price]",
        "[at what price|for how much] does {c} trade?",
        "what does [a|one] share of {c} cost[| right now| today]?",
        "how is the [stock|share price] of {c} doing[| today]?",
        "!what is {c} worth on the exchange?",
    ]
    question = draw.say(draw.about(phrases, further), c=company)
    sentence = draw.choose(
        [
            f"{company} shares closed at ${price}.",
            f"{company} (NYSE) ${price} {draw.choose('+-')}{draw.between(0, 9)}.{draw.between(0, 9)}%",
            f"The stock of {company} traded at ${price} today.",
        ]
    )
    answer = f"The stock price of {company} is ${price}."
    return Fact(question, f"{company} stock price", sentence, answer, company, price)


def film_year(draw):
    title, year = draw.title(), draw.between(1920, 2025)
    phrases = [
        "the release [year|date] of [|the film |the movie ]{t}",
        "the year [|the film |the movie ]{t} [came out|was released]",
        "!the premiere year of {t}",
    ]
    further = [
        "when was [|the film |the movie ]{t} released?",
        "[what|in which|in what] year did [|the film |the movie ]{t} come out?",
        "[{t} release year|release year of {t}|{t} film year]",
        "when did [|the film |the movie ]{t} [come out|open]?",
        "[in which|what] year was [|the film |the movie ]{t} released?",
        "!how old is the film {t}?",
    ]
    question = draw.say(draw.about(phrases, further), t=title)
    sentence = draw.choose(
        [
            f"{title} is a {year} film directed by {draw.person()}.",
            f"{title} was released in {year}.",
            f"{title} ({year}) - cast and reviews",
        ]
    )
    return Fact(question, f"{title} release year", sentence, f"{title} was released in {year}.", title, str(year))


def height(draw):
    summit = "Mount " + draw.name() if draw.chance(0.6) else draw.name() + " Tower"
    meters = draw.between(80, 8848)
    phrases = ["the [height|elevation] of {m}[|| in meters]", "!the altitude of the top of {m}"]
    further = [
        "how [tall|high] is {m}[|| in meters]?",
        "[{m} height|height of {m}|height {m}|how tall {m}]",
        "[do you know|tell me|can you tell me] how [tall|high] {m} is[?|.]",
        "how many meters [tall|high] is {m}?",
        "!how far up does {m} go?",
    ]
    question = draw.say(draw.about(phrases, further), m=summit)
    sentence = draw.choose(
        [
            f"{summit} is {meters} meters tall.",
            f"{summit} rises to {meters} meters.",
            f"{summit} - Height: {meters} meters",
        ]
    )
    return Fact(question, f"{summit} height", sentence, f"{summit} is {meters} meters tall.", summit, str(meters))


def capital(draw):
    country = draw.name() + draw.choose(["", "", "ia", "land", "stan"])
    city = draw.city()
    phrases = ["the capital [|city ]of {c}", "!the seat of government of {c}"]
    further = [
        "[which|what] city is the capital of {c}?",
        "[capital of {c}|{c} capital|capital {c}]",
        "name the capital of {c}.",
        "[do you know|tell me|can you tell me] the capital of {c}[?|.]",
        "!where does {c} have its capital?",
    ]
    question = draw.say(draw.about(phrases, further), c=country)
    sentence = draw.choose(
        [
            f"The capital of {country} is {city}.",
            f"{city} is the capital and largest city of {country}.",
            f"{country}: Capital {city}",
        ]
    )
    return Fact(question, f"capital of {country}", sentence, f"The capital of {country} is {city}.", country)


def founding_year(draw):
    company, year = draw.company(), draw.between(1800, 2022)
    phrases = [
        "the [founding year|year of foundation|founding date] of {c}",
        "the year {c} was [founded|started]",
        "!the birth year of the firm {c}",
    ]
    further = [
        "when was {c} [founded|started|established|created]?",
        "[in what|what|in which] year was {c} [founded|started|established]?",
        "[{c} founded|{c} founding year|founding year of {c}|when was {c} founded]",
        "[tell me|do you know|can you tell me] when {c} was [founded|started|established].",
        "!since when does {c} exist?",
    ]
    question = draw.say(draw.about(phrases, further), c=company)
    sentence = draw.choose(
        [
            f"{company} was founded in {year} by {draw.person()}.",
            f"Founded in {year}, {company} is based in {draw.city()}.",
            f"{company} - Founded: {year}",
        ]
    )
    return Fact(question, f"{company} founded", sentence, f"{company} was founded in {year}.", company, str(year))


def match_score(draw):
    home, guest = draw.city(), draw.city()
    goals, guest_goals = draw.between(0, 9), draw.between(0, 9)
    phrases = [
        "the [|final ]score of {a} [against|vs|versus] {b}",
        "the result of {a} [against|vs] {b}",
        "!the outcome when {a} met {b}",
    ]
    further = [
        "[{a} vs {b} score|score {a} vs {b}|{a} against {b} score]",
        "how did {a} [vs|against] {b} [end|go]?",
        "how did the [game|match] {a} [vs|against] {b} end?",
        "what was the [score|result] of {a} [vs|against] {b}?",
        "who won, {a} or {b}?",
        "!did {a} beat {b}?",
    ]
    question = draw.say(draw.about(phrases, further), a=home, b=guest)
    sentence = draw.choose(
        [
            f"{home} {goals}-{guest_goals} {guest} (full time)",
            f"Final score: {home} {goals}-{guest_goals} {guest}.",
            f"{home} vs {guest} ended {goals}-{guest_goals}.",
        ]
    )
    answer = f"The score was {home} {goals}-{guest_goals} {guest}."
    return Fact(question, f"{home} vs {guest} score", sentence, answer, f"{home} vs {guest}")


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
