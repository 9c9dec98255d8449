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
            "[hello|hi|hey], [pleased to meet you|how nice|good that you are here|long time no see|I am back"
            "|are you awake?][!|.|]",
            "[hello|hi|hey|good morning|good evening][,| my| dear| old] [model|machine|robot|computer|bot"
            "|dear friend|helper|pal|mate][!|.|]",
            "[hey hey|hola|hallo|ahoy|hello from me|a good day to you|good day to you|happy to see you"
            "|I say hello|nice to see you][!|.|]",
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
            "[tell me|say] [who|what] you are[.|]",
            "[what|who] [is|are] [this|speaking|there|talking][?|]",
            "[are you|is this] [a model|a language model|a bot|a computer|a program|alive|a chatbot][?|]",
            "who [is your maker|are your makers|wrote you|trained you|invented you|stands behind you][?|]",
            "with whom [am I talking|do I speak|am I speaking][?|]",
            "do I talk to [a machine|a person|a human|a robot][?|]",
            "[do you have a|your] name[, please][?|]",
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
            "[I am|we are] [thankful|so happy|very happy|happy with it|pleased|very pleased|satisfied][!|.|]",
            "[what a help|that is what I needed|just what I needed|this was useful|it works now|you did it"
            "|you saved my day][!|.|][ Thanks!| Thank you!|]",
            "[thank you|thanks], [you are kind|that is kind|that will do|this is right|it helps|it worked"
            "|this helped][!|.|]",
            "[I like it|I love it|beautiful|brilliant|fantastic|awesome|lovely|bravo][!|, thanks!|, thank you.]",
            "[all my thanks|my thanks|with thanks|best thanks|thanks to you][!|.|]",
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
            "[give me|show me|say|write] a list of [your skills|your tools|what you can do|things you can do][.|]",
            "[what|which] [functions|features|skills|jobs|tasks] [do you have|have you got|can you do|are yours][?|]",
            "[how|with what|in what] can you [help|assist|support|serve][| me| us][?|]",
            "[is there anything|what is there|what things are there] you can do[?| for me?|]",
            "[I need help|help me|please help|can you help me|I need some help][.|!|?|]",
            "what [is possible|can I do] [here|with you][?|]",
            "[explain|describe] [your abilities|your skills|yourself and your tools][.|]",
            "[how do you work|what are your strengths|for what can I use you][?|]",
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
            "[bye|goodbye|see you|cheerio|ciao|adieu|so then|see you around|catch you later|until later"
            "|until next time|see you then][!|.|]",
            "[I am going|I go now|I go to bed|I go to sleep|I am going home|I have to leave|I must leave"
            "|I will leave now|we stop here|let us stop here|I am done|this is the end|that is it for today][!"
            "|.|, bye.|]",
            "[have a|enjoy your] [good|nice|great|pleasant] [evening|day|night|weekend|time][!|.|]",
            "[that is enough|we are done|I am finished|no more questions|nothing else], [bye|goodbye|see you"
            "|good night][!|.|]",
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
            "how [good|well] [are you|do you feel|is your day|is life] [today|this morning|now|]?",
            "[do you feel|are you feeling] [good|well|fine|better|happy][?| today?|]",
            "[is it going well|is it a good day|is your day good|did you sleep well|how is life"
            "|how is your life|how is it][?|]",
            "how [have you been|did you sleep|is everything|is it with you|goes it|is your health][?|]",
            "[hello|hi|hey], [how is it going|how are things|are you well|all good][?|]",
            "[good morning|good evening], how are you[?|]",
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
            "[I go by|I am called|I am known as|they named me|everybody calls me|I answer to|you may call me"
            "|please call me|friends call me] {n}[.|!|]",
            "[my parents named me|my name, by the way, is|by the way, I am|let me introduce myself:|allow me:"
            "|I sign as] {n}[.|!|]",
            "[it is|it's] {n} [here|speaking|again|who writes][.|!|]",
            "{n} [here|speaking|is who I am|is what they call me|is how I am called][.|!|]",
            "[you talk to|you speak with] {n} [here|now][.|!|]",
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
            "[something|anything] [funny|to laugh about][, please|?|.|]",
            "[entertain me|make me smile|surprise me with a joke|I could use a joke|let me laugh"
            "|cheer me up with a joke][.|!|, please.|]",
            "[can you tell me|could you tell us|have you heard|can I hear] [a|one|another|some good] joke[?|]",
            "[time for a|how about a|what about a|let us have a] joke[.|!|?|]",
            "[joke time|jokes, please|a good one, please|are you funny?]",
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
            "[what|which] [day of the month|calendar day|date] [is it|do we have|is today][?|]",
            "[say|write|name|show me|check] [the date|today's date|the day][.|, please.|]",
            "[is it|do you know if it is] [Monday|Friday|Sunday|a weekday] today[, what date][?|]",
            "[look at|read|check] the calendar[ for me|, please][.|]",
            "[I lost the date|I don't know the date|I do not know what day it is|what was the date again"
            "|I forgot what day it is][.|?|]",
            "today is [what date|which day|which date][?|]",
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
            "[okay then|ok then|all right|all right then|very well then|well then|good then|so be it"
            "|that is ok|that is good|it is fine|no problem|I agree|I understand|that works|that is right|true"
            "|correct][.|!|]",
            "[if you say so|as you like|as you wish|whatever|I don't mind|never mind that|forget it|not now"
            "|let me think|one moment|wait|hold on][.|!|]",
            "[yes yes|yeah|yep|nope|nah|uh|huh|mhm|sounds good|works for me|good to know|good enough][.|!|]",
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
            "[this week|this day|my week|life|everything|it all] [is|was] [terrible|horrible|bad|hard"
            "|too much|so hard|sad|awful][.|!|]",
            "[I am|I'm|I feel] [not well|not good|not happy|broken|lost|alone|upset|nervous|in pain|depressed"
            "|heartbroken|miserable|terrible|really bad][.|!|]",
            "[I failed|I lost my keys|my dog died|my cat is ill|my friend is ill|I am in trouble"
            "|I cannot sleep|I cried today|I have no friends|nothing works|I miss my friend][.|!|]",
            "[what a|it was a|such a] [bad|sad|terrible|horrible|hard] day[.|!|]",
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
            "[compose|write|make|create|invent|think up] [me |us |][a|some|one] [tune|melody|rhyme|verse"
            "|ballad|drama|novel|letter to my love|speech for a wedding|fairy tale|nice story|new song][.|!"
            "|, please.|]",
            "[play|sing|hum|whistle] [a song|some music|something|a melody|me a song][.|!|, please.|]",
            "[make|bake|build|buy|bring|clean] [me |us |][a cake|dinner|a house|the room|coffee|a pizza"
            "|a car][.|!|, please.|]",
            "[what is your opinion on|what do you feel about|who is better in|are you for or against] [war"
            "|politics|love|art|God|football|music][?|]",
            "[tell|read] [me |us |the children |][a tale|a bedtime story|a story about a dog"
            "|a story about a cat|stories][.|!|, please.|]",
            "[translate|rewrite|correct|improve] [my letter|my text|this text|my essay|this sentence][.|, please.|]",
            "[paint|draw|sketch|photograph] [the sea|the sun|a portrait|a picture of me|my cat][.|!|, please.|]",
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
