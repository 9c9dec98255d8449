"""Sentence frames that any question or order may stand in. <x> is what is asked: a noun phrase ("the height of {m}"), a
clause ("how tall {m} is"), a question ("how tall is {m}") or an order ("factor <e>"). <s> is a few unrelated words, so
that the model learns to look past what it does not know. Frames that begin with "!" are held out from training.
"""

PEOPLE = (
    "[somebody|my friend|my boss|a colleague|the customer|my teacher|my sister|my brother|our client|my son|the team"
    "|a visitor|my neighbor|the office|my aunt]"
)
LOOK = (
    "[look up|find|find me|get me|give me|show me|check|please look up|can you look up|search for|I need|look for"
    "|I am looking for|could you look up|could you get me|would you check|please check|please find|fetch me|bring me"
    "|pull up|hunt down|try to find|see if you can find|go and find|google|dig up|get|find out|tell me|I want"
    "|quickly check|can you get me|can you find|could you find|let me have|let me see|hand me|kindly find|go get]"
)
WISHES = (
    "[I would like to have|I'd love to know|I wonder about|I am curious about|my question is about|it is about"
    "|we need|we are after|my boss wants|somebody asked me for|I forgot|I cannot remember|remind me of|help me with"
    "|I have to write down|for my report I need|I must have|I was wondering about|I am unsure about|I am interested in"
    "|I'm after|I'm interested in|I'm trying to find|I am trying to find out|we would like to know|we are looking for"
    "|they asked for|I was asked for|I never heard|I keep forgetting|I have to know|I should know|I want to know]"
)
PLEASE = (
    "[|||please |can you |could you |I want you to |I need you to |would you |let's |let us |go ahead and |help me "
    "|kindly |just |now |try to |you should |I'd like you to |it is time to |do me a favor and |be so kind and "
    "|can you please |could you please |will you |would you please |I would like you to |you have to |next, |then |so "
    "|first |I want to |I need to |I have to |we need to |we have to |I must |time to |I'd like to |help us |quickly "
    "|my boss wants me to |I was told to |is it possible to |can we |may I ask you to |the task is to |your task: ]"
)
PLEASE_END = "[|||.|.|, please.|, please| for me.| for me|, thanks.|!| now.| please| for us.| right now.|?]"

NOUN_FRAMES = [
    "[what is|what's|whats|what is|what's|what would be|what might be|what exactly is|so what is|and what is] <x>?",
    "[what is|what's|whats|what is] <x>[?|]",
    "<a> <x><e>",
    "<a> <x><e>",
    "<a> what <x> [is|might be|would be]<e>",
    "<x>[?||, please|: what is it?| - do you know it?|, any idea?|.|!]",
    "<x>[?|||, please|. Please look it up.|, what is it?]",
    LOOK + " <x>[.|| for me.| for me, please.| if you can.|, please.|, will you?|, thanks.|!]",
    LOOK + " <x>[.||]",
    WISHES + " <x>[.||, please.]",
    "[what about|how about|and|now|next] <x>[?|]",
    "<x> is [what I need|what I want|what I am looking for|what I would like to know|the question|my question][.|]",
    PEOPLE + " [asks for|asked for|wants to know|asked me about|wants|needs|is asking about|asked about] <x>[.|]",
    "[tell me|show me|say|answer|question|topic|request|wanted|needed|search|find|query|task|my question]: <x>[?|.|]",
    "[does anybody know|do we know|is there a way to know|is it known|do you have|have you got|got] <x>?",
    "[what do you have on|what can you find on|what can you tell me about|what do you know about] <x>?",
    "[about|regarding|concerning|as for] <x>: [what can you find|what do you know|what is it|can you check]?",
    "[where can I find|how do I find|how can I find|where do I see|who knows|who can tell me] <x>?",
    "[can you|could you|would you|please] [say|check|look at|give me|name|tell us|look into|read out] <x>[?|.|]",
    "<s> <x>[|?|.]",
    "<s> <x> <s>[|?|.]",
    "!any chance of finding <x>?",
    "!<x> would be good to know",
    "!might I trouble you for <x>?",
]
CLAUSE_FRAMES = [
    "<a> <x><e>",
    "<a> <x><e>",
    "[I wonder|I am wondering|I do not know|I forgot|no idea|I'm not sure|remind me|say|check|look up|find out|see"
    "|I was wondering|I don't know|I'd like to see|I need to see|we need to know|we want to know|let us know] <x>[.|"
    "|?]",
    PEOPLE + " [asks|asked|wants to know|asked me|would like to know|needs to know|is asking] <x>[.|]",
    "<x>[, please|?|: do you know?| - any idea?||]",
    "[do we know|is it known|can you see|can you look up|can you check|can you say|does anyone know] <x>[?|]",
    "[please|could you please|would you please|can you please|you should] [look up|check|find out|say|tell me] <x>[."
    "|?|]",
    "[my question is|the question is|I want to ask|I have to answer|tell us|I want to learn] <x>[.|]",
    "<s> <x>[|?|.]",
    "!I can never remember <x>",
    "!anyone here who knows <x>?",
]
QUESTION_FRAMES = [
    "<x>[?|?|?|]",
    "<x>[?|?|?|]",
    "<x>[?|?|]",
    "[and|so|then|OK so|but|now|tell me,|please,|hmm,|again,|I wonder:|I ask:|say,|once more:|another one:] <x>[?|]",
    "<x>? [Do you know|Any idea|Please look|Can you check|I wonder|Please check|Tell me|Do you know that|I forgot][."
    "|?|]",
    "[my question is|the question is|I want to know|I ask you|answer this|here is my question|I have to know][:"
    "|,] <x>[?|]",
    PEOPLE + " [asks|asked|wants to know|asked me]: <x>[?|]",
    "<s> <x>[?|]",
    "<x> <s>[?|]",
    "!here goes: <x>?",
    "!<x>? Surely you know",
]
ORDER_FRAMES = [
    PLEASE + "<x>" + PLEASE_END,
    PLEASE + "<x>" + PLEASE_END,
    PLEASE + "<x>" + PLEASE_END,
    PLEASE + "<x>" + PLEASE_END,
    "<x>" + PLEASE_END,
    "<x>[|.]",
    PEOPLE + " [wants me to|wants you to|asks you to|asked me to|told me to|needs us to] <x>[.|]",
    "[task|to do|job|next|request|your turn|my wish|please do this|do this|one thing to do]: <x>[.|]",
    "<s> <x>[.|]",
    "!how about you <x>?",
    "!your job now is to <x>",
]
FRAMES = {"nouns": NOUN_FRAMES, "clauses": CLAUSE_FRAMES, "questions": QUESTION_FRAMES, "orders": ORDER_FRAMES}

#: Words of <s>: none of them says what is asked.
IDLE_WORDS = """
        a about after again all also always am an and another any around as back be because been before being best
    better     both but by came come could day days did different do does done down each else even ever every far
    feel few first     fine found from full good great had half hand hard has have he her here him his home house
    idea if important in into     is it its job just keep kind last later least left less let like little long look
    lot made make man many maybe me     mean might mind minute moment more morning most much must my need never new
    nice night no not nothing now of off     office often oh old on once one only or other our out over own part
    perhaps phone place plan please point possible     question quick quickly quite rather read ready real really
    right same saw school see seem seen she short should since     small so some somebody something soon sorry still
    such sure surely take talk tell than thank that their them then     there these they thing things think this
    those thought time to today together told tomorrow tonight too try turn two     under until up us use used
    useful very wait want was way we week well went were what when where which while who whole     why will wish
    with without woman wonder word work world would write wrong yes yesterday yet you your
""".split()
