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
            "[hey|hi|hello] [you|chasqui|assistant|friend|buddy|everybody|folks][!|.|]",
            "[hello|hi], [nice to see you|are you there?|anybody there?|it is me|good to see you][!|.|]",
            "[hello hello|hiya|hey ho|yo|hi hi|hello world][!|]",
            "welcome[!|]",
            "!howdy[!|]",
            "!hello my dear assistant",
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
            "[do you have|what is|have you got] a name[?|]",
            "[who|what] [exactly |really |]are you[?|, please?|, tell me.]",
            "[what should I call you|what do they call you|what kind of thing are you|are you human"
            "|are you ChatGPT][?|]",
            "[can you|please|could you] introduce yourself[?|.|]",
            "I [want|would like] to know who you are[.|]",
            "!may I ask who is speaking?",
            "!and you are?",
        ],
        "I am the small built-in model of chasqui. I can search the web, do maths, run Python and call functions.",
    ),
    (
        [
            "[thanks|thank you|many thanks|thanks a lot|thank you very much|thank you so much|thx|great, thanks"
            "|perfect, thank you|cool, thanks][!|.|]",
            "[that helped|that was helpful|great job|well done|nice work|good answer][!|.|]",
            "[thank you|thanks] [for your help|for this|for the answer|my friend|again|a million|so much|kindly][!|.|]",
            "[you are great|you helped me a lot|wonderful|excellent|that is great|very helpful|I thank you][, thanks"
            "|, thank you|][!|.|]",
            "[good|great|nice|super|wonderful], [thanks|thank you][!|.|]",
            "!much appreciated[!|]",
            "!I am grateful for your help",
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
            "[what else|what exactly|what things] can you do[?|]",
            "[tell me|show me|say|explain] what you can do[.|]",
            "[what are you able to do|what do you do|what can you help me with|how can I use you|what are you for][?|]",
            "[what kind of questions|which questions] can [I ask you|you answer][?|]",
            "[your skills|your abilities|your tools], please",
            "!list your abilities",
            "!in what ways can you be of help",
        ],
        "I can look up facts, solve maths, run Python code and call functions.",
    ),
    (
        [
            "[bye|goodbye|bye bye|see you|see you later|good night|farewell|talk to you later|have a nice day][!|.|]",
            "[I have to go|I must go|I am leaving|I am off|time to go|until tomorrow|see you soon|see you tomorrow"
            "|take care][!|.|, bye.|]",
            "[ok|thanks|well|great], [bye|goodbye|see you|good night][!|.|]",
            "[that is all|that was all|that's all], [bye|goodbye][!|.|]",
            "!so long[!|]",
            "!I go home now, see you",
        ],
        "Goodbye! Have a nice day.",
    ),
    (
        [
            "how are you[| doing| today][?|]",
            "[how is it going|how are things|how do you do|how do you feel|are you well|are you ok][?|]",
            "how's [your day|life|everything][?|]",
            "[what's up|sup][?|]",
            "[are you fine|are you happy|are you doing well|is everything fine|everything ok|all good][?| today?|]",
            "how [was|is] your [day|morning|week|evening][?|]",
            "[hello|hi|hey], how are you[?| today?|]",
            "how do you do today?",
            "!are you having a good day?",
            "!is life good to you",
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
            "[my name's|the name is|they call me|people call me|it is] {n}[.|!|]",
            "[hi|hello|hey], [my name is|this is|I'm] {n}[.|!|]",
            "{n} is my name[.|!|]",
            "[here is|it's me,|greetings from] {n}[.|!|]",
            "!people know me as {n}",
            "!you are talking to {n}",
        ],
        "Nice to meet you, {n}! How can I help you?",
    ),
    (
        [
            "[tell me|do you know|say|I want to hear] a joke[.|?|]",
            "make me laugh[.|!|]",
            "say something funny[.|]",
            "another joke[|, please]",
            "[I need|I want|give me|can I have|do you have|have you got] [a|one more|another] joke[.|?|]",
            "[a joke|one joke|joke][|, please|!|.]",
            "tell [us|me] [something funny|a funny story|a good joke|one more joke][.|]",
            "[be funny|amuse me|I want to laugh][.|!|]",
            "!cheer me up with something funny",
            "!know any good jokes?",
        ],
        "Why did the robot cross the road? It was programmed by the chicken.",
    ),
    (
        [
            "[what is|what's] [today's date|the date today|the date]?",
            "what day is [it|it today|today][?|]",
            "[which|what] date is [it|today][?|]",
            "[today's date|date today], please",
            "[do you know|tell me|can you tell me|I forgot] [the date|today's date|what date it is|what day it is"
            "|which day it is][?|.|]",
            "[what is the date|which day do we have|what day do we have|what is today|the date][?| today?]",
            "[give me|I need|say] [the date|today's date|the date of today][.|]",
            "!tell me what the calendar says today",
            "!I lost track, what date do we have",
        ],
        "Today is {d}.",
    ),
    (
        [
            "[ok|okay|yes|no|fine|alright|sure|good|cool|great][!|.|]",
            "[I see|got it|understood|makes sense][.|!|]",
            "[right|very well|agreed|perfect|of course|exactly|very good|not bad|nice|fine with me][.|!|]",
            "[hm|hmm|well|so|maybe|aha|oh|never mind][.|...|]",
            "!fair enough[.|]",
            "!that is fine with me then",
        ],
        "OK. What can I do for you?",
    ),
    (
        [
            "[I am|I feel] [sad|tired|bored|lonely|angry|stressed][.|]",
            "I [had|have] a bad day[.|]",
            "[I am|I'm|I feel|we are] [so |very |a bit |really |][unhappy|sad|sick|ill|worried|exhausted|afraid|down"
            "|hurt][.|!|]",
            "[my day is bad|nobody likes me|I lost my job|everything goes wrong|I have a headache|I feel bad][.|]",
            "[it is a bad day|this is a sad day|I am having a hard time][.|]",
            "!today is awful",
            "!I feel so alone today",
        ],
        "I am sorry to hear that. Is there something I can do for you?",
    ),
    (
        [
            "write [me |]a [poem|story|song|novel][.| please|]",
            "[translate this|draw a picture|paint a cat|sing a song][.|]",
            "[can you|please|could you|will you] [sing|dance|draw|paint|write a poem|write a song|tell a story"
            "|write a book|cook for me][?|.|]",
            "[draw|paint|sketch] [me |][a dog|a house|a tree|a horse|something][.|]",
            "[tell me|write|invent] a [long |short |nice |][story|poem|fairy tale|letter|speech|essay][.|]",
            "[do you believe in|what do you think of|what do you think about|do you like] [love|life|people|music"
            "|football|religion|war|art][?|]",
            "[what is|what's] the meaning of life[?|]",
            "[what should I do with my life|do you love me|what do you think about politics][?|]",
            "!compose a symphony",
            "!make up a tale about a fox",
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
