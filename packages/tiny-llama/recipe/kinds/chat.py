"""Conversations without a call: small talk, and questions for which no tool is there."""

from messages import answer, user

from kinds.facts import fact
from kinds.python_code import python_episode
from kinds.search import NO_SEARCH

NO_COMPUTING = "I cannot compute that: I have no tool for it here."
#: (what is said, what is answered); {n} is a name, {d} the date of the system turn.
TALK = [
    (
        [
            "[hello|hi|hey][| there| again| friend][!|.||,]",
            "good [morning|evening|afternoon|day][!|.|]",
            "[hello|hi], [how can you help?|nice to meet you][!|.|]",
            "greetings[!|]",
            "!howdy[!|]",
        ],
        "Hello! How can I help you today?",
    ),
    (
        [
            "who are you[?|]",
            "what are you[?|]",
            "[tell me|say something] about yourself[.|]",
            "[what is|what's] your name[?|]",
            "are you [a robot|a human|an AI|real|a person|a machine][?|]",
            "introduce yourself[.|]",
            "who [am I talking to|is this|made you|built you][?|]",
            "what [model|kind of model|kind of assistant] are you[?|]",
            "which model is this[?|]",
            "!may I ask who is speaking?",
        ],
        "I am the small built-in model of chasqui. I can search the web, do maths, run Python and call functions.",
    ),
    (
        [
            "[thanks|thank you|many thanks|thanks a lot|thank you very much|thank you so much|thx|great, thanks"
            "|perfect, thank you|cool, thanks][!|.|]",
            "[that helped|that was helpful|great job|well done|nice work|good answer][!|.|]",
            "!much appreciated[!|]",
        ],
        "You're welcome!",
    ),
    (
        [
            "what can you do[?| for me?|]",
            "how can you help[| me][?|]",
            "what are your [skills|abilities|tools][?|]",
            "[which|what] tools do you have[?|]",
            "what can I ask you[?|]",
            "what [are you good at|is your job|do you know][?|]",
            "help[!|]",
            "!list your abilities",
        ],
        "I can look up facts, solve maths, run Python code and call functions.",
    ),
    (
        [
            "[bye|goodbye|bye bye|see you|see you later|good night|farewell|talk to you later|have a nice day][!|.|]",
            "!so long[!|]",
        ],
        "Goodbye! Have a nice day.",
    ),
    (
        [
            "how are you[| doing| today][?|]",
            "[how is it going|how are things|how do you do|how do you feel|are you well|are you ok][?|]",
            "how's [your day|life|everything][?|]",
            "[what's up|sup][?|]",
            "!are you having a good day?",
        ],
        "I am doing well, thank you. How can I help you?",
    ),
    (
        [
            "my name is {n}[.|!|]",
            "I am {n}[.|!|]",
            "[hi|hello], I am {n}[!|.]",
            "[|you can ]call me {n}[.|!|]",
            "this is {n}[.|]",
            "I'm {n}[.|]",
            "!people know me as {n}",
        ],
        "Nice to meet you, {n}! How can I help you?",
    ),
    (
        [
            "[tell me|do you know|say|I want to hear] a joke[.|?|]",
            "make me laugh[.|!|]",
            "say something funny[.|]",
            "another joke[|, please]",
            "!cheer me up with something funny",
        ],
        "Why did the robot cross the road? It was programmed by the chicken.",
    ),
    (
        [
            "[what is|what's] [today's date|the date today|the date]?",
            "what day is [it|it today|today][?|]",
            "[which|what] date is [it|today][?|]",
            "[today's date|date today], please",
            "!tell me what the calendar says today",
        ],
        "Today is {d}.",
    ),
    (
        [
            "[ok|okay|yes|no|fine|alright|sure|good|cool|great][!|.|]",
            "[I see|got it|understood|makes sense][.|!|]",
            "!fair enough[.|]",
        ],
        "OK. What can I do for you?",
    ),
    (
        [
            "[I am|I feel] [sad|tired|bored|lonely|angry|stressed][.|]",
            "I [had|have] a bad day[.|]",
            "!today is awful",
        ],
        "I am sorry to hear that. Is there something I can do for you?",
    ),
    (
        [
            "write [me |]a [poem|story|song|novel][.| please|]",
            "[translate this|draw a picture|paint a cat|sing a song][.|]",
            "[what is|what's] the meaning of life[?|]",
            "[what should I do with my life|do you love me|what do you think about politics][?|]",
            "!compose a symphony",
        ],
        "I am a small model and cannot do that well. I can search, calculate, run Python and call functions.",
    ),
]


def chat_episode(draw, date):
    name = draw.name()
    cores, said = draw.choose(TALK)
    cores = [core.replace("{n}", name) for core in cores]
    styled = draw.chance(0.5)
    text = draw.expand(draw.pick(cores))
    if styled:
        text = draw.style(text)
    if draw.chance(0.6):
        text = text[0].upper() + text[1:]
    if draw.chance(0.1) and name not in text:
        text = text.lower()
    return [user(text.strip() or "hi"), answer(said.replace("{n}", name).replace("{d}", date))]


def no_tools_episode(draw):
    """A question that needs a tool while none is offered."""
    if draw.chance(0.6):
        return [user(fact(draw).question), answer(NO_SEARCH)]
    return [python_episode(draw)[0], answer(NO_COMPUTING)]
