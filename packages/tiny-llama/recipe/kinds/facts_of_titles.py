"""Facts of books and films: see fact.py."""

from kinds.fact import Fact


def author(draw):
    title, person = draw.title(), draw.person()
    question = draw.ask(
        {"t": title},
        nouns=[
            "the [poet|novelist|maker|man behind|woman behind|mind behind|name behind] [|the book |the novel ]{t}",
            "the author's name of {t}",
            "the writer [that wrote|who created|who made|behind] [|the book |the novel ]{t}",
            "the [person|one|writer] to whom we owe [|the book |the novel ]{t}",
            "the [author|writer|creator] of [|the book |the novel |the text |the story ]{t}",
            "the [name of the |][author|writer] [|of the book |of ]{t}",
            "the [person|man|woman|one] who [wrote|has written] [|the book |the novel ]{t}",
            "{t}'s author",
            "!the person who penned {t}",
            "!the name printed on the cover of {t}",
        ],
        clauses=[
            "who [created|made|is behind|invented|composed] [|the book |the novel |the story ]{t}",
            "whose [work|novel|story] [|the book |the novel ]{t} is",
            "who the [novelist|poet|person|man|woman] behind {t} [is|was]",
            "who [wrote|has written|is the author of|is the writer of] [|the book |the novel |the story ]{t}",
            "[by whom|by which author] [|the book |the novel ]{t} [was|is] [written|made]",
            "who the [author|writer] of [|the book ]{t} [is|was]",
            "[which|what] [author|writer] [wrote|has written] {t}",
            "!from whose hand {t} comes",
        ],
        questions=[
            "who [created|made|is behind|put together|invented] [|the book |the novel |the story ]{t}",
            "who did write [|the book |the novel ]{t}",
            "to whom do we owe [|the book |the novel ]{t}",
            "who was it that wrote [|the book |the novel ]{t}",
            "[|the book |the novel ]{t}, who wrote it",
            "[which|what] [novelist|poet|man|woman] wrote [|the book |the novel ]{t}",
            "whose [work|novel|story] is {t}",
            "who stands behind the [book|novel|story] {t}",
            "who [wrote|is the author of|authored|has written|was the writer of|is the writer of] [|the book "
            "|the novel ]{t}",
            "[which|what] [author|writer|person] wrote [|the book |the novel |the story ]{t}",
            "[by whom|by which author] was [|the book |the novel ]{t} written",
            "[|the book |the novel ]{t} [was written by|is by|is written by] [whom|who|which author]",
            "who is [|the book |the novel ]{t} by",
            "!whose book is {t}",
            "!whom do we thank for the novel {t}",
        ],
        short=[
            "{t} - [by whom|who wrote it|author]?",
            "{t}, written by?",
            "who's the author of {t}[?|]",
            "I look for the [book|novel] {t}. [Who wrote it?|Who is it by?|What is the author called?]",
            "[author of the book {t}|{t} author|author {t}|who wrote {t}|author of {t}|{t} writer|{t}: author"
            "|writer of {t}]",
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


def film_year(draw):
    title, year = draw.title(), draw.between(1920, 2025)
    question = draw.ask(
        {"t": title},
        nouns=[
            "the [opening|first showing|launch|appearance] of [|the film |the movie ]{t}",
            "the [age|date] of [the film|the movie] {t}",
            "the year [that |]{t} [was in the cinemas|reached the cinemas|was filmed|appeared]",
            "the year [behind|next to|for] the [film|movie] {t}",
            "the release [year|date] of [|the film |the movie ]{t}",
            "the year [|in which ][|the film |the movie ]{t} [came out|was released|was shown|was made]",
            "the year of [|the film |the movie |release of ]{t}",
            "!the premiere year of {t}",
            "!how long ago {t} was in the cinema",
        ],
        clauses=[
            "when [|the film |the movie ]{t} [was in the cinemas|was filmed|reached the screens"
            "|had its opening|started]",
            "how long ago [|the film |the movie ]{t} [came out|was released|was made|was filmed]",
            "[which|what] year [|the film |the movie ]{t} is from",
            "when [|the film |the movie ]{t} [came out|was released|was made|was shown|opened|appeared]",
            "[in which|in what|which|what] year [|the film |the movie ]{t} [came out|was released|was made|is from]",
            "how old the [film|movie] {t} is",
            "!what the year on the poster of {t} is",
        ],
        questions=[
            "when did [|the film |the movie ]{t} [reach the screens|have its opening|get released"
            "|start in the cinemas|start]",
            "how long ago was [|the film |the movie ]{t} [released|made|shown|filmed]",
            "how long ago did [|the film |the movie ]{t} come out",
            "when could people [first |]see [|the film |the movie ]{t}",
            "when [was|were] [the film|the movie|the shooting of] {t} made",
            "when was [|the film |the movie ]{t} in the cinemas",
            "[what|which] year is [the film|the movie] {t}",
            "when was [|the film |the movie ]{t} [released|made|shown|published]",
            "[what|in which|in what] year did [|the film |the movie ]{t} [come out|appear|open]",
            "when did [|the film |the movie ]{t} [come out|open|appear|reach the cinemas]",
            "[in which|what|in what] year was [|the film |the movie ]{t} [released|made]",
            "[from what|from which|of which] year is [|the film |the movie ]{t}",
            "!how old is the film {t}",
            "!did {t} come to the cinemas long ago",
        ],
        short=[
            "{t}: [when|what year|how old]?",
            "{t}, [film|movie], [year|released when]?",
            "[cinema|film|movie]: when did {t} come out?",
            "[{t} release year|release year of {t}|{t} film year|{t} release date|release date of {t}"
            "|{t}: year of the film]",
            "I [saw|watched|liked] the [film|movie] {t}. [When did it come out?|What year is it from?"
            "|When was it released?]",
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
