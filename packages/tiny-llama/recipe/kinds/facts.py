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
    if draw.chance(0.93):
        place = draw.place()
    else:
        place = draw.choose(["Menlo Park, California", "Menlo Park"])
    sky, high = draw.choose(CONDITIONS), draw.between(20, 110)
    low = high - draw.between(4, 25)
    question = draw.ask(
        {"c": place},
        nouns=[
            "the [weather|current weather|weather forecast|temperature|forecast|temperatures] in {c}[||| today| right now| this week| now]",
            "the weather [for|at|around|over|near] {c}[|| today]",
            "[today's|the latest|the present|the actual] [weather|forecast|temperature] [in|for] {c}",
            "the [weather|climate|sky|heat|rain|wind] [of|in] {c}[| today| now]",
            "the weather [report|situation|outlook|data] [in|for|of] {c}[| today]",
            "the high and [the |]low [temperature |][in|for] {c}[| today]",
            "!the conditions outside in {c}",
            "!what the sky above {c} is like",
        ],
        clauses=[
            "how [warm|cold|hot|windy|wet|sunny] it is in {c}[|| today| now| right now]",
            "[what|how] the weather is [like |]in {c}[|| today| now]",
            "[if|whether] it is [raining|sunny|cold|warm|snowing|windy|nice] in {c}[|| today]",
            "[if|whether] [I|we] need [an umbrella|a coat|a jacket|sun cream] in {c}[|| today]",
            "!what weather people have in {c}",
        ],
        questions=[
            "[how is|how's] the weather [|like ]in {c}[|| today| right now| at the moment]",
            "what's the weather like in {c}[|| today]",
            "is it [warm|cold|hot|raining|sunny|windy|nice|snowing|wet|cloudy|freezing] in {c}[|| today| right now]",
            "[will it rain|will it snow|will it be warm|do I need an umbrella|do I need a coat|should I take a jacket] in {c}[|| today]",
            "how [warm|cold|hot] is it in {c}[|| now| today]",
            "what [temperature|weather|kind of weather] [do they have|is there|have they got|can I expect|should I expect] in {c}[|| today]",
            "[what is|what's] it like outside in {c}",
            "which temperature does {c} have[| today| now]",
            "how many degrees [are there|is it|has it] in {c}[|| today| now]",
            "what does the forecast [say|tell] [for|about] {c}",
            "!how does it look outside in {c}",
            "!should I dress warm for {c}",
            "!is {c} having good weather",
        ],
        short=[
            "[weather in {c}|weather {c}|{c} weather|{c} weather today|forecast for {c}|weather forecast {c}]",
            "[temperature {c}|{c} temperature|{c} forecast|{c}: weather|weather: {c}|weather, {c}|weather at {c}]",
            "I am [travelling to|flying to|going to|visiting|on my way to|driving to|off to] {c}[| today]. "
            "[What is the weather there?|What is the weather like?|How is the weather?|Is it warm there?|Will it rain?]",
            "[I live in|I am in|We are in|My mother lives in] {c}. [How is the weather?|What is the weather today?|Weather?]",
            "!I plan a picnic in {c}. What does the weather say?",
        ],
    )
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
    question = draw.ask(
        {"c": place},
        nouns=[
            "the [population|total population|current population|population size|size of the population] of {c}",
            "the number of [people|inhabitants|residents|citizens|persons] [in|living in|of] {c}",
            "[|the ]{c}'s population",
            "the population [count|figure|number] [of|for] {c}",
            "!the head count of {c}",
            "!how big a crowd lives in {c}",
        ],
        clauses=[
            "how many [people|inhabitants|residents|citizens|persons] [live in|there are in|are living in] {c}",
            "how many [people|inhabitants|residents] {c} has",
            "how [big|large] the population of {c} is",
            "how [many people|big a population] {c} has",
            "!what number of humans call {c} home",
        ],
        questions=[
            "how many [people|inhabitants|residents|citizens] [live in|are there in|are in|does] {c}[| have]",
            "how [big|large] is the population of {c}",
            "how many [people|persons] are living in {c}[| now| today]",
            "what population [does {c} have|has {c}]",
            "[by how many people is {c} inhabited|how many have their home in {c}|how many souls live in {c}]",
            "{c} has how many [people|inhabitants|residents]",
            "how many people [call {c} their home|reside in {c}]",
            "!how populous is {c}",
            "!are there many people in {c}, and how many exactly",
        ],
        short=[
            "[population of {c}|{c} population|population {c}|{c} number of people|{c} inhabitants|population: {c}]",
            "[people in {c}|inhabitants of {c}|residents of {c}|{c}: how many people?|{c} - population]",
            "!{c} and its people: give me the total",
        ],
    )
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
    question = draw.ask(
        {"c": company},
        nouns=[
            "the [CEO|chief executive|boss|head|chief executive officer|leader|chief|director] of {c}",
            "the [current|new|present|acting] [CEO|chief executive|boss|head|leader] of {c}",
            "the [CEO|boss|chief] [at|in] {c}",
            "the name of the [CEO|boss|chief executive|head] of {c}",
            "the [person|man|woman|one] [who runs|who leads|who heads|in charge of|in charge at|running|leading] {c}",
            "{c}'s [CEO|boss|chief executive|leader]",
            "!the top manager at {c}",
            "!who gives the orders inside {c}",
        ],
        clauses=[
            "who [runs|leads|heads|manages|directs|is the CEO of|is in charge of|is the boss of|is the head of] {c}",
            "who the [CEO|boss|chief executive|head|leader] of {c} is",
            "what the [CEO|boss|chief executive] of {c} is called",
            "who is [running|leading|heading] {c}[| now| today]",
            "!which person decides things at {c}",
        ],
        questions=[
            "[who is|who's] the [|current |new |present ][CEO|boss|chief executive|head] of {c}",
            "who [runs|leads|heads|is in charge of|is running|manages|directs|is leading] [|the company |the firm ]{c}[|| now| these days]",
            "what is the [CEO|boss|chief] of {c} called",
            "[by whom is {c} run|by whom is {c} led|whom does {c} have as CEO]",
            "who is [CEO|boss|head|chief executive] [at|of|in] {c}",
            "!who sits at the top of {c}",
            "!to whom do the people at {c} report",
        ],
        orders=["name the [CEO|boss|leader|head] of {c}", "[tell me|say|find out|look up] who [runs|leads|heads] {c}"],
        short=[
            "[{c} CEO|CEO {c}|CEO of {c}|{c} boss|{c} chief executive|boss of {c}|head of {c}|CEO: {c}|{c} - CEO]",
            "I want to write to the [CEO|boss|head] of {c}. [Who is it?|What is the name?|Who is that?]",
            "!I have a letter for whoever leads {c}. The name?",
        ],
    )
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
    question = draw.ask(
        {"t": title},
        nouns=[
            "the [author|writer|creator] of [|the book |the novel |the text |the story ]{t}",
            "the [name of the |][author|writer] [|of the book |of ]{t}",
            "the [person|man|woman|one] who [wrote|has written] [|the book |the novel ]{t}",
            "{t}'s author",
            "!the person who penned {t}",
            "!the name printed on the cover of {t}",
        ],
        clauses=[
            "who [wrote|has written|is the author of|is the writer of] [|the book |the novel |the story ]{t}",
            "[by whom|by which author] [|the book |the novel ]{t} [was|is] [written|made]",
            "who the [author|writer] of [|the book ]{t} [is|was]",
            "[which|what] [author|writer] [wrote|has written] {t}",
            "!from whose hand {t} comes",
        ],
        questions=[
            "who [wrote|is the author of|authored|has written|was the writer of|is the writer of] [|the book |the novel ]{t}",
            "[which|what] [author|writer|person] wrote [|the book |the novel |the story ]{t}",
            "[by whom|by which author] was [|the book |the novel ]{t} written",
            "[|the book |the novel ]{t} [was written by|is by|is written by] [whom|who|which author]",
            "who is [|the book |the novel ]{t} by",
            "!whose book is {t}",
            "!whom do we thank for the novel {t}",
        ],
        short=[
            "[author of the book {t}|{t} author|author {t}|who wrote {t}|author of {t}|{t} writer|{t}: author|writer of {t}]",
            "I [read|am reading|liked|bought|saw] [the book |the novel ]{t}. Who [wrote it|is the author]?",
            "!on my desk lies {t}; who is its writer?",
        ],
    )
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
    question = draw.ask(
        {"c": subject},
        nouns=[
            "the [latest|newest|recent|most recent|current|last] news [about|on|from|of|around|for] {c}",
            "[|the ]news [about|on|from|of] {c}",
            "[today's|this week's|fresh|new] [news|information|stories|reports] [about|on|from] {c}",
            "the [latest|newest] [stories|articles|reports|information|updates] [about|on|from] {c}",
            "!the headlines about {c}",
            "!the talk of the day around {c}",
        ],
        clauses=[
            "what [happened|is going on|is happening|is new] [at|in|with|around] {c}[|| recently| lately| today]",
            "[if|whether] there [is|are] [any news|something new|news] [about|on|from] {c}",
            "what the news [say|says] about {c}",
            "!what was reported on {c} lately",
        ],
        questions=[
            "[any|is there any|do you have|are there any|have you|got any] news [on|about|from|of] {c}",
            "what [happened at|happened in|is going on at|is going on in|is new with|is new at|is happening at|is happening in] {c}[|| recently| lately]",
            "[what is the latest|what's the latest|what's new|what is new|what's up] [about|on|with|at|in|from] {c}",
            "[is there|do you know] [anything|something] new [about|on|from|with] {c}",
            "what do the [papers|newspapers|news] [say|write] about {c}",
            "!what are people writing about {c}",
            "!has {c} been in the press",
        ],
        short=[
            "[latest news about {c}|news {c}|{c} news|latest {c} news|{c}: news|news: {c}|{c} latest|recent news {c}]",
            "[keep me up to date on|bring me up to date on|update me on|inform me about] {c}[.|]",
            "!fill me in on {c}",
        ],
    )
    sentence = draw.choose([f"{headline}.", f"News: {headline}.", f"{draw.date().isoformat()} - {headline}."])
    return Fact(question, f"latest news {subject}", sentence, f"The latest news: {headline}.", subject)


def share_price(draw):
    company, price = draw.company(), f"{draw.between(1, 999)}.{draw.between(0, 99):02d}"
    question = draw.ask(
        {"c": company},
        nouns=[
            "the [|current |latest |present ][stock price|share price|price of one share|price of a share|stock value|share value] of {c}",
            "the [stock|share] price [for|of|at] {c}[|| today| right now]",
            "the [price|value|cost] of [one|a|a single] [share|stock] of {c}",
            "{c}'s [stock|share] price",
            "the [price|value] of [|the ][stock|shares] [of|in|from] {c}",
            "!the market quote for {c}",
            "!what investors pay for {c}",
        ],
        clauses=[
            "how much [one|a] [share|stock] of {c} [is|costs|is worth][|| now| today]",
            "what [one|a] [share|stock] of {c} [costs|is worth][|| now| today]",
            "how the [stock|share price|shares] of {c} [is doing|stands|stand]",
            "[at what price|for how much] {c} [trades|is traded]",
            "!where the stock of {c} stands on the market",
        ],
        questions=[
            "[how much is|how much does|what does|what is] one [share|stock] of {c}[| cost| now| worth]",
            "[at what price|for how much] does {c} [trade|sell]",
            "what does [a|one] [share|stock] of {c} cost[|| right now| today]",
            "how is the [stock|share price] of {c} doing[|| today]",
            "how [high|expensive] [is|are] the [stock|share price|shares] of {c}",
            "what [is|are] {c} [stock|shares|share] worth[|| now| today]",
            "!what is {c} worth on the exchange",
            "!if I buy into {c}, what is the price of a share",
        ],
        short=[
            "[stock price of {c}|{c} stock|{c} stock price|{c} share price|{c} shares|stock: {c}|{c}: share price|price {c} share]",
            "I [want to buy|own|have|hold] [a share|shares|stock] of {c}. [What does one cost?|What is the price?|What is it worth?]",
            "!quote {c} for me",
        ],
    )
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
    question = draw.ask(
        {"t": title},
        nouns=[
            "the release [year|date] of [|the film |the movie ]{t}",
            "the year [|in which ][|the film |the movie ]{t} [came out|was released|was shown|was made]",
            "the year of [|the film |the movie |release of ]{t}",
            "!the premiere year of {t}",
            "!how long ago {t} was in the cinema",
        ],
        clauses=[
            "when [|the film |the movie ]{t} [came out|was released|was made|was shown|opened|appeared]",
            "[in which|in what|which|what] year [|the film |the movie ]{t} [came out|was released|was made|is from]",
            "how old the [film|movie] {t} is",
            "!what the year on the poster of {t} is",
        ],
        questions=[
            "when was [|the film |the movie ]{t} [released|made|shown|published]",
            "[what|in which|in what] year did [|the film |the movie ]{t} [come out|appear|open]",
            "when did [|the film |the movie ]{t} [come out|open|appear|reach the cinemas]",
            "[in which|what|in what] year was [|the film |the movie ]{t} [released|made]",
            "[from what|from which|of which] year is [|the film |the movie ]{t}",
            "!how old is the film {t}",
            "!did {t} come to the cinemas long ago",
        ],
        short=[
            "[{t} release year|release year of {t}|{t} film year|{t} release date|release date of {t}|{t}: year of the film]",
            "I [saw|watched|liked] the [film|movie] {t}. [When did it come out?|What year is it from?|When was it released?]",
            "!tonight we watch the movie {t}, from which year?",
        ],
    )
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
    question = draw.ask(
        {"m": summit},
        nouns=[
            "the [height|elevation|total height|exact height] of {m}[|| in meters]",
            "{m}'s height[| in meters]",
            "the number of meters of {m}",
            "!the altitude of the top of {m}",
            "!how many meters it is up to the tip of {m}",
        ],
        clauses=[
            "how [tall|high|big] {m} is[|| in meters]",
            "how many meters [tall|high] {m} is",
            "how many meters {m} [has|measures]",
            "what [height|elevation] {m} has",
            "!what {m} measures from bottom to top",
        ],
        questions=[
            "how [tall|high|big] is {m}[|| in meters]",
            "how many meters [tall|high] is {m}",
            "how many meters [does {m} have|does {m} measure|has {m}]",
            "what [height|elevation] does {m} [have|reach]",
            "is {m} [tall|high][, and how many meters| - how many meters]",
            "{m} is how [tall|high]",
            "!how far up does {m} go",
            "!what do I climb to stand on {m}, in meters",
        ],
        short=[
            "[{m} height|height of {m}|height {m}|how tall {m}|{m} elevation|{m}: height|{m} in meters|elevation {m}|{m} how high]",
            "!{m}, bottom to top?",
        ],
    )
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
    question = draw.ask(
        {"c": country},
        nouns=[
            "the [capital|capital city] of {c}",
            "the name of the capital [|city ]of {c}",
            "{c}'s capital[| city]",
            "the city that is [the |]capital of {c}",
            "the capital of the [country|state|land] {c}",
            "!the seat of government of {c}",
            "!the city from which {c} is ruled",
        ],
        clauses=[
            "[which|what] city is the capital of {c}",
            "what the capital [|city ]of {c} is[| called]",
            "how the capital of {c} is called",
            "what {c} has as [its |]capital",
            "!where the government of {c} sits",
        ],
        questions=[
            "[which|what] city is the capital of {c}",
            "what is the capital of {c} called",
            "which capital does {c} have",
            "what [city|capital] [does {c} have as its capital|has {c}]",
            "{c} has [which|what] capital",
            "!where does {c} have its capital",
            "!which town would an ambassador to {c} live in",
        ],
        orders=["name the capital [|city ]of {c}", "[tell me|say|give] [the capital|the name of the capital] of {c}"],
        short=[
            "[capital of {c}|{c} capital|capital {c}|{c} capital city|{c}: capital|capital: {c}|capital city of {c}]",
            "!I fill in a map: {c}, capital?",
        ],
    )
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
    question = draw.ask(
        {"c": company},
        nouns=[
            "the [founding year|year of foundation|founding date|foundation year|start year|year of the founding] of {c}",
            "the year [|in which ]{c} was [founded|started|created|established]",
            "the [date|year] when {c} [was founded|started|began]",
            "the age of [|the company |the firm ]{c}",
            "!the birth year of the firm {c}",
            "!the year in which {c} opened its doors for the first time",
        ],
        clauses=[
            "when {c} was [founded|started|established|created|set up]",
            "[in what|in which|what|which] year {c} was [founded|started|established|created]",
            "how old [|the company |the firm ]{c} is",
            "when {c} [began|started|opened]",
            "!since which year {c} has been in business",
        ],
        questions=[
            "when was {c} [founded|started|established|created|set up|formed]",
            "[in what|what|in which] year was {c} [founded|started|established|created]",
            "when did {c} [start|begin|open]",
            "how old is [the company|the firm|the business] {c}",
            "[since what|since which] year [does|has] {c} [exist|existed]",
            "!since when does {c} exist",
            "!which year do they celebrate as the start of {c}",
        ],
        short=[
            "[{c} founded|{c} founding year|founding year of {c}|when was {c} founded|{c} foundation|{c} since when|{c}: founded]",
            "!{c}, established in which year?",
        ],
    )
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
    question = draw.ask(
        {"a": home, "b": guest},
        nouns=[
            "the [|final |current |end ][score|result] of {a} [against|vs|versus|and] {b}",
            "the [score|result] of the [game|match] [|between ]{a} [and|against|vs] {b}",
            "the [game|match] [result|score] {a} [vs|against|versus] {b}",
            "the [score|result] between {a} and {b}",
            "!the outcome when {a} met {b}",
        ],
        clauses=[
            "how {a} [vs|against|versus] {b} [ended|went|finished]",
            "how the [game|match] [|between |of ]{a} [and|vs|against] {b} [ended|went|finished]",
            "who won[,|] {a} or {b}",
            "how {a} [played|did] against {b}",
            "!which of {a} and {b} went home happy",
        ],
        questions=[
            "how did {a} [vs|against|versus] {b} [end|go|finish]",
            "how did the [game|match] {a} [vs|against|versus|and] {b} [end|go|finish]",
            "what [was|is] the [|final ][score|result] of {a} [vs|against|versus] {b}",
            "who won, {a} or {b}",
            "how did {a} [play|do] against {b}",
            "who won the [game|match] [|between ]{a} [vs|and|against] {b}",
            "!did {a} beat {b}",
            "!was it {a} or {b} that scored more",
        ],
        short=[
            "[{a} vs {b} score|score {a} vs {b}|{a} against {b} score|{a} {b} score|{a} - {b} result|{a} vs {b}|{a} versus {b}]",
            "!{a} played {b}; the score please",
        ],
    )
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
