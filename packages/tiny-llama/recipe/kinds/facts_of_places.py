"""Facts of cities, countries and mountains: see fact.py."""

from words import CONDITIONS

from kinds.fact import Fact


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
            "[rain|snow|sunshine|wind|the humidity|the outside temperature|the air temperature] in {c}[|"
            "| today| tonight| now]",
            "the [state of the weather|weather conditions|kind of weather] [in|at|around] {c}[|| today]",
            "the [sky|sun|clouds|storm|rain] over {c}[|| today]",
            "the [degrees|number of degrees|reading of the thermometer] in {c}[|| today]",
            "[good|bad|nice|warm|cold|rainy|sunny] weather in {c}[|| today]",
            "the [weather|current weather|weather forecast|temperature|forecast|temperatures] in {c}[||| today"
            "| right now| this week| now]",
            "the weather [for|at|around|over|near] {c}[|| today]",
            "[today's|the latest|the present|the actual] [weather|forecast|temperature] [in|for] {c}",
            "the [weather|climate|sky|heat|rain|wind] [of|in] {c}[| today| now]",
            "the weather [report|situation|outlook|data] [in|for|of] {c}[| today]",
            "the high and [the |]low [temperature |][in|for] {c}[| today]",
            "!the conditions outside in {c}",
            "!what the sky above {c} is like",
        ],
        clauses=[
            "how [nice|bad|chilly|foggy|humid|mild|stormy|rainy|cloudy] it is in {c}[|| today]",
            "[if|whether] the sun [shines|is out|is shining] in {c}[|| today]",
            "what [weather|temperature] [there is|it is|they have|we will get|to expect] in {c}[|| today]",
            "how [warm|cold|hot|windy|wet|sunny] it is in {c}[|| today| now| right now]",
            "[what|how] the weather is [like |]in {c}[|| today| now]",
            "[if|whether] it is [raining|sunny|cold|warm|snowing|windy|nice] in {c}[|| today]",
            "[if|whether] [I|we] need [an umbrella|a coat|a jacket|sun cream] in {c}[|| today]",
            "!what weather people have in {c}",
        ],
        questions=[
            "is it [good|bad|lovely|terrible|fine|awful] weather in {c}[|| today]",
            "what is the weather doing in {c}[|| today]",
            "[can I|can we] [go swimming|have a barbecue|wear shorts|go out without a coat|go for a walk"
            "|eat outside] in {c}[|| today]",
            "how [nice|bad|chilly|foggy|humid|mild|stormy|cloudy] is it in {c}[|| today]",
            "does [it rain|it snow|the sun shine] in {c}[|| today| now]",
            "is the sun [out|shining] in {c}[|| today| now]",
            "are there [clouds|storms] over {c}[|| today| now]",
            "[have they got|do they have|does {c} have|is {c} getting|does {c} get] [rain|snow|sun|a storm"
            "|nice weather|bad weather][|| today]",
            "[how is|how's] the weather [|like ]in {c}[|| today| right now| at the moment]",
            "what's the weather like in {c}[|| today]",
            "is it [warm|cold|hot|raining|sunny|windy|nice|snowing|wet|cloudy|freezing] in {c}[|| today| right now]",
            "[will it rain|will it snow|will it be warm|do I need an umbrella|do I need a coat"
            "|should I take a jacket] in {c}[|| today]",
            "how [warm|cold|hot] is it in {c}[|| now| today]",
            "what [temperature|weather|kind of weather] [do they have|is there|have they got|can I expect"
            "|should I expect] in {c}[|| today]",
            "[what is|what's] it like outside in {c}",
            "which temperature does {c} have[| today| now]",
            "how many degrees [are there|is it|has it] in {c}[|| today| now]",
            "what does the forecast [say|tell] [for|about] {c}",
            "!how does it look outside in {c}",
            "!should I dress warm for {c}",
            "!is {c} having good weather",
        ],
        short=[
            "[rain|sun|snow|warm|cold|storm] in {c}?",
            "I [pack|plan a trip|dress] for {c}. [What weather do I need to expect?|Is it warm or cold?"
            "|What does the forecast say?|How is the weather?]",
            "[Tomorrow|Today|Tonight] I [walk|run|play|work|eat] outside in {c}. [How is the weather?"
            "|Will it be dry?|What is the weather like?]",
            "[weather in {c}|weather {c}|{c} weather|{c} weather today|forecast for {c}|weather forecast {c}]",
            "[temperature {c}|{c} temperature|{c} forecast|{c}: weather|weather: {c}|weather, {c}|weather at {c}]",
            "I am [travelling to|flying to|going to|visiting|on my way to|driving to|off to] {c}[| today]. "
            "[What is the weather there?|What is the weather like?|How is the weather?|Is it warm there?"
            "|Will it rain?]",
            "[I live in|I am in|We are in|My mother lives in] {c}. [How is the weather?|What is the weather today?"
            "|Weather?]",
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
            "the [amount|total|total number|exact number] of [people|persons|inhabitants] [who live|living"
            "|that live|at home] in {c}",
            "the size of {c} [in people|by population|in inhabitants]",
            "the [inhabitants|citizens|residents|souls|people] of {c} [in numbers|in total|in all|counted]",
            "the census [figure|number|result|count] [for|of] {c}",
            "the [population|total population|current population|population size|size of the population] of {c}",
            "the number of [people|inhabitants|residents|citizens|persons] [in|living in|of] {c}",
            "[|the ]{c}'s population",
            "the population [count|figure|number] [of|for] {c}",
            "!the head count of {c}",
            "!how big a crowd lives in {c}",
        ],
        clauses=[
            "how [densely populated|crowded|full of people] {c} is",
            "what the [population|number of inhabitants|number of people] of {c} is",
            "how many humans [live in|there are in|inhabit] {c}",
            "how many people [make up|inhabit|populate] {c}",
            "how many [people|inhabitants|residents|citizens|persons] [live in|there are in|are living in] {c}",
            "how many [people|inhabitants|residents] {c} has",
            "how [big|large] the population of {c} is",
            "how [many people|big a population] {c} has",
            "!what number of humans call {c} home",
        ],
        questions=[
            "how [crowded|densely populated|well populated] is {c}",
            "how many humans [live in|inhabit|populate] {c}",
            "how big is {c} [by population|in people|in terms of people]",
            "what is the [number of inhabitants|number of people|census number] of {c}",
            "do [many|a lot of|very many] people live in {c}",
            "what is the total of people in {c}",
            "[how many people make up {c}|how many people would I meet in {c}|how many neighbors do I have in {c}]",
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
            "{c}: how many [inhabitants|residents|live there]?",
            "how many in {c}?",
            "I move to {c}. [How many people live there?|How big is it?|What is its population?]",
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


def height(draw):
    summit = "Mount " + draw.name() if draw.chance(0.6) else draw.name() + " Tower"
    meters = draw.between(80, 8848)
    question = draw.ask(
        {"m": summit},
        nouns=[
            "the [size|summit height|peak height|vertical size|length] of {m}",
            "the [altitude|level|height above sea level] of {m}[|| in meters]",
            "the distance from [the ground|the foot|the base] to the [top|summit|peak|tip] of {m}",
            "the [top|summit|peak|roof] of {m} in meters",
            "the [height|elevation|total height|exact height] of {m}[|| in meters]",
            "{m}'s height[| in meters]",
            "the number of meters of {m}",
            "!the altitude of the top of {m}",
            "!how many meters it is up to the tip of {m}",
        ],
        clauses=[
            "how far [up|above the ground|above the sea] {m} [reaches|rises|stands]",
            "how far it is [up |]to the [top|summit|peak] of {m}",
            "how [high|tall] {m} [stands|rises|reaches|goes]",
            "how [tall|high|big] {m} is[|| in meters]",
            "how many meters [tall|high] {m} is",
            "how many meters {m} [has|measures]",
            "what [height|elevation] {m} has",
            "!what {m} measures from bottom to top",
        ],
        questions=[
            "how high does {m} [reach|rise|stand|go|climb|get]",
            "how tall does {m} stand",
            "how far is it [up |]to the [top|summit|peak|roof] of {m}",
            "at what [height|altitude|level] is the [top|summit|peak|roof] of {m}",
            "how many meters above [the sea|sea level|the ground] is {m}",
            "how many meters [would I climb on|are there up to the top of|do I climb on] {m}",
            "what is the [height|altitude|size] of {m}",
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
            "{m}: how many meters?",
            "how [high|tall], {m}?",
            "I [climb|climbed|see|visit|stand on] {m}. [How high is it?|How tall is it?|How many meters is that?]",
            "[{m} height|height of {m}|height {m}|how tall {m}|{m} elevation|{m}: height|{m} in meters|elevation {m}"
            "|{m} how high]",
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
            "the [main|chief|principal|head|first] city of {c}",
            "the city [where|in which] the [president|parliament|king|queen|ministers] of {c} [sits|lives|works|is]",
            "the [city|town] with the [parliament|government|ministries] of {c}",
            "the seat of [the president|the parliament|power] of {c}",
            "the [capital|capital city] of {c}",
            "the name of the capital [|city ]of {c}",
            "{c}'s capital[| city]",
            "the city that is [the |]capital of {c}",
            "the capital of the [country|state|land] {c}",
            "!the seat of government of {c}",
            "!the city from which {c} is ruled",
        ],
        clauses=[
            "from [which|what] city {c} is governed",
            "where the [parliament|president|king|ministers] of {c} [sits|is|lives|works]",
            "[which|what] city [serves as|acts as|is used as|counts as] the capital of {c}",
            "[which|what] city is the capital of {c}",
            "what the capital [|city ]of {c} is[| called]",
            "how the capital of {c} is called",
            "what {c} has as [its |]capital",
            "!where the government of {c} sits",
        ],
        questions=[
            "from [which|what] city is {c} governed",
            "what is the [main|principal|first|chief] city of {c}",
            "[which|what] city [serves as|acts as|is used as|counts as] the capital of {c}",
            "in [which|what] [city|town] [is|sits] the [parliament|president|government|king] of {c}",
            "where is the [parliament|government|president] of {c}",
            "[where|in which city] is the capital of {c}",
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
            "{c}'s capital?",
            "[quiz|geography|map]: capital of {c}[?|]",
            "I learn [geography|the countries]. What is the capital of {c}?",
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


def match_score(draw):
    home, guest = draw.city(), draw.city()
    goals, guest_goals = draw.between(0, 9), draw.between(0, 9)
    question = draw.ask(
        {"a": home, "b": guest},
        nouns=[
            "the [goals|points|numbers|outcome] [in|of|from] [|the game |the match ]{a} [vs|against|and] {b}",
            "the outcome of {a} [vs|against|versus] {b}",
            "how many goals {a} and {b} [scored|got|made]",
            "the [winner|result|score|goals] when {a} played [|against ]{b}",
            "the [|final |current |end ][score|result] of {a} [against|vs|versus|and] {b}",
            "the [score|result] of the [game|match] [|between ]{a} [and|against|vs] {b}",
            "the [game|match] [result|score] {a} [vs|against|versus] {b}",
            "the [score|result] between {a} and {b}",
            "!the outcome when {a} met {b}",
        ],
        clauses=[
            "who [won|lost|was better|scored more|had more goals] when {a} played [|against |with ]{b}",
            "[if|whether] {a} [won against|lost to|lost against|defeated|beat] {b}",
            "how it [ended|went|finished|stood] between {a} and {b}",
            "how {a} [vs|against|versus] {b} [ended|went|finished]",
            "how the [game|match] [|between |of ]{a} [and|vs|against] {b} [ended|went|finished]",
            "who won[,|] {a} or {b}",
            "how {a} [played|did] against {b}",
            "!which of {a} and {b} went home happy",
        ],
        questions=[
            "what happened [in the game|in the match|when] {a} [played|met|vs|against] {b}",
            "who [beat|defeated] whom, {a} or {b}",
            "[did {a} win against|did {a} lose to|has {a} defeated|did {a} defeat|has {a} won against] {b}",
            "how many goals [were there in|fell in|did we see in] {a} [vs|against] {b}",
            "[which|what] team won, {a} or {b}",
            "who scored more goals, {a} or {b}",
            "who was better, {a} or {b}",
            "how did it [end|go|finish] between {a} and {b}",
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
            "{a}-{b}?",
            "{a} - {b}, [how did it end|who won|result|score]?",
            "[game|match] {a} {b}: [result|score|who won]?",
            "I missed the [game|match] {a} [against|vs] {b}. [Who won?|How did it end?|What was the score?]",
            "[{a} vs {b} score|score {a} vs {b}|{a} against {b} score|{a} {b} score|{a} - {b} result|{a} vs {b}"
            "|{a} versus {b}]",
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
