"""Facts of companies: see fact.py."""

from kinds.fact import Fact


def chief_executive(draw):
    company, person = draw.company(), draw.person()
    question = draw.ask(
        {"c": company},
        nouns=[
            "the [manager|general manager|top executive|president|managing director|top boss|big boss"
            "|first man] of {c}",
            "the [manager|head|director|chief|leader] at {c}",
            "the [person|man|woman|one] at the [top|head|helm] of {c}",
            "the leadership of {c}",
            "the one [whom|that] [the staff|everybody|all employees] at {c} [must obey|works for|follows]",
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
            "who [is at the helm of|has the say at|rules|commands|presides over|makes the decisions at"
            "|calls the shots at|is responsible for] {c}",
            "who has the last word at {c}",
            "who [the manager|the president|the managing director|the top boss] of {c} is",
            "whom [the staff|the employees|the workers] of {c} work for",
            "who [runs|leads|heads|manages|directs|is the CEO of|is in charge of|is the boss of|is the head of] {c}",
            "who the [CEO|boss|chief executive|head|leader] of {c} is",
            "what the [CEO|boss|chief executive] of {c} is called",
            "who is [running|leading|heading] {c}[| now| today]",
            "!which person decides things at {c}",
        ],
        questions=[
            "who [has the say at|rules|commands|presides over|makes the decisions at|decides at"
            "|calls the shots at|is at the helm of|is at the head of|is responsible for] {c}",
            "under whose [leadership|direction|command] is {c}",
            "who is the [manager|president|managing director|top boss|top executive] of {c}",
            "whom do [the employees|the workers|the staff] of {c} work for",
            "who is the boss [over |]at {c}",
            "which [person|man|woman|manager] [runs|leads|heads] {c}",
            "[who is|who's] the [|current |new |present ][CEO|boss|chief executive|head] of {c}",
            "who [runs|leads|heads|is in charge of|is running|manages|directs|is leading] [|the company "
            "|the firm ]{c}[|| now| these days]",
            "what is the [CEO|boss|chief] of {c} called",
            "[by whom is {c} run|by whom is {c} led|whom does {c} have as CEO]",
            "who is [CEO|boss|head|chief executive] [at|of|in] {c}",
            "!who sits at the top of {c}",
            "!to whom do the people at {c} report",
        ],
        orders=["name the [CEO|boss|leader|head] of {c}", "[tell me|say|find out|look up] who [runs|leads|heads] {c}"],
        short=[
            "{c}: who [leads|runs|heads] it?",
            "{c}, [boss|head|chief|manager]?",
            "manager of {c}",
            "I [work at|start at|have a meeting at|complain to] {c}. Who is the [boss|CEO|head] there?",
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


def share_price(draw):
    company, price = draw.company(), f"{draw.between(1, 999)}.{draw.between(0, 99):02d}"
    question = draw.ask(
        {"c": company},
        nouns=[
            "the [quote|market price|trading price|closing price|current quote] [of|for] {c}",
            "the worth of [one|a] [share|stock] of {c}",
            "the {c} [quote|share|stock]",
            "the price [people|buyers|traders] pay for [a|one] share of {c}",
            "the [market value|value|price] of [a|one] {c} [share|stock]",
            "the [|current |latest |present ][stock price|share price|price of one share|price of a share"
            "|stock value|share value] of {c}",
            "the [stock|share] price [for|of|at] {c}[|| today| right now]",
            "the [price|value|cost] of [one|a|a single] [share|stock] of {c}",
            "{c}'s [stock|share] price",
            "the [price|value] of [|the ][stock|shares] [of|in|from] {c}",
            "!the market quote for {c}",
            "!what investors pay for {c}",
        ],
        clauses=[
            "how {c} [is doing|stands|trades] on the [stock exchange|stock market|market|exchange]",
            "what [the stock|a share|one share] of {c} [trades at|goes for|sells for|sells at]",
            "how much [people|I|we] [pay|have to pay|must pay] for [a|one] share of {c}",
            "how much [one|a] [share|stock] of {c} [is|costs|is worth][|| now| today]",
            "what [one|a] [share|stock] of {c} [costs|is worth][|| now| today]",
            "how the [stock|share price|shares] of {c} [is doing|stands|stand]",
            "[at what price|for how much] {c} [trades|is traded]",
            "!where the stock of {c} stands on the market",
        ],
        questions=[
            "how is {c} doing on the [stock exchange|stock market|market]",
            "where is the [stock|share price] of {c}[|| now| today]",
            "what do [I|we|people] pay for [a share|one share] of {c}",
            "how much money is a share of {c}",
            "what is the [quote|market price|value] [of|for] [|a share of ]{c}",
            "how much would [a share|one share] of {c} cost [me|us]",
            "[what|which] price has [the|a] {c} [stock|share]",
            "what does {c} [trade at|go for|sell for][| today| now]",
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
            "{c} quote",
            "[ticker|market|exchange|quote|share]: {c}",
            "{c} on the [stock market|exchange|market][?|]",
            "{c}: what is a share worth?",
            "[stock price of {c}|{c} stock|{c} stock price|{c} share price|{c} shares|stock: {c}|{c}: share price"
            "|price {c} share]",
            "I [want to buy|own|have|hold] [a share|shares|stock] of {c}. [What does one cost?|What is the price?"
            "|What is it worth?]",
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


def founding_year(draw):
    company, year = draw.company(), draw.between(1800, 2022)
    question = draw.ask(
        {"c": company},
        nouns=[
            "the [birth|beginning|origin|start|creation] of [|the company |the firm ]{c}",
            "the year of [birth|creation|origin] of [|the company |the firm ]{c}",
            "the [year|date] [|that ]{c} [opened|was set up|was born|was formed|came into being]",
            "the time when {c} was [founded|started|created]",
            "the years that [|the company |the firm ]{c} has existed",
            "the [founding year|year of foundation|founding date|foundation year|start year"
            "|year of the founding] of {c}",
            "the year [|in which ]{c} was [founded|started|created|established]",
            "the [date|year] when {c} [was founded|started|began]",
            "the age of [|the company |the firm ]{c}",
            "!the birth year of the firm {c}",
            "!the year in which {c} opened its doors for the first time",
        ],
        clauses=[
            "how long [|the company |the firm ]{c} has [existed|been around|been there]",
            "when {c} came into [being|existence]",
            "how many years {c} has existed",
            "[in which|what|which] year {c} [began|started|opened|came into being]",
            "when {c} was [founded|started|established|created|set up]",
            "[in what|in which|what|which] year {c} was [founded|started|established|created]",
            "how old [|the company |the firm ]{c} is",
            "when {c} [began|started|opened]",
            "!since which year {c} has been in business",
        ],
        questions=[
            "how long has [|the company |the firm ]{c} [existed|been around|been there]",
            "when did {c} come into [being|existence]",
            "when did they [found|start|open|set up|establish|create] {c}",
            "in [what|which] year did {c} [begin|open|start]",
            "[what|which] year is {c} from",
            "how many years has {c} existed",
            "when did [|the company |the firm |the history of ]{c} [begin|start]",
            "when was {c} [founded|started|established|created|set up|formed]",
            "[in what|what|in which] year was {c} [founded|started|established|created]",
            "when did {c} [start|begin|open]",
            "how old is [the company|the firm|the business] {c}",
            "[since what|since which] year [does|has] {c} [exist|existed]",
            "!since when does {c} exist",
            "!which year do they celebrate as the start of {c}",
        ],
        short=[
            "{c}: [since when|what year|how old]?",
            "when did {c} start?",
            "I write the history of {c}. When was it founded?",
            "[{c} founded|{c} founding year|founding year of {c}|when was {c} founded|{c} foundation|{c} since when"
            "|{c}: founded]",
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
            "[something|anything] new [about|on|from|at|in] {c}",
            "the [current|newest|latest|recent] [events|developments|happenings|reports] [at|in|around|on] {c}",
            "a [report|story|news item|summary of the news] [on|about] {c}",
            "[press|newspaper|media] [reports|articles|stories] [on|about] {c}",
            "what is [going on|happening|new] [at|in|with] {c}",
            "what [everybody says|the media say|the papers write|they report] about {c}",
            "the [latest|newest|recent|most recent|current|last] news [about|on|from|of|around|for] {c}",
            "[|the ]news [about|on|from|of] {c}",
            "[today's|this week's|fresh|new] [news|information|stories|reports] [about|on|from] {c}",
            "the [latest|newest] [stories|articles|reports|information|updates] [about|on|from] {c}",
            "!the headlines about {c}",
            "!the talk of the day around {c}",
        ],
        clauses=[
            "what has happened [at|in|to] {c}[|| recently| this week]",
            "[if|whether] [anything|something] [happened|is going on] [at|in] {c}",
            "what [the media|the papers|the newspapers] [say|write|report] about {c}",
            "what [happened|is going on|is happening|is new] [at|in|with|around] {c}[|| recently| lately| today]",
            "[if|whether] there [is|are] [any news|something new|news] [about|on|from] {c}",
            "what the news [say|says] about {c}",
            "!what was reported on {c} lately",
        ],
        questions=[
            "what did I miss [about|at|in|from] {c}",
            "what has happened [at|in|to] {c}[|| lately| recently| this week]",
            "has [anything|something] happened [at|in|to] {c}",
            "what are the [newest|latest] [events|developments|reports] [at|in|on] {c}",
            "are there [reports|articles|stories|updates] [on|about] {c}",
            "what [is said|is reported|is written|do they say|do they report] about {c}",
            "why is {c} in the [news|papers|newspapers]",
            "[any|is there any|do you have|are there any|have you|got any] news [on|about|from|of] {c}",
            "what [happened at|happened in|is going on at|is going on in|is new with|is new at|is happening at"
            "|is happening in] {c}[|| recently| lately]",
            "[what is the latest|what's the latest|what's new|what is new|what's up] [about|on|with|at|in|from] {c}",
            "[is there|do you know] [anything|something] new [about|on|from|with] {c}",
            "what do the [papers|newspapers|news] [say|write] about {c}",
            "!what are people writing about {c}",
            "!has {c} been in the press",
        ],
        short=[
            "[anything|something] new at {c}?",
            "{c}: what happened?",
            "{c}, [what is new|anything new|any news]?",
            "update: {c}",
            "[latest news about {c}|news {c}|{c} news|latest {c} news|{c}: news|news: {c}|{c} latest|recent news {c}]",
            "[keep me up to date on|bring me up to date on|update me on|inform me about] {c}[.|]",
            "!fill me in on {c}",
        ],
    )
    sentence = draw.choose([f"{headline}.", f"News: {headline}.", f"{draw.date().isoformat()} - {headline}."])
    return Fact(question, f"latest news {subject}", sentence, f"The latest news: {headline}.", subject)
