"""Conversations with get_current_conditions, the function of the format's documentation: the place decides its unit."""

from messages import answer, call, result, user
from words import CONDITIONS, US_PLACES

CONDITIONS_SCHEMA = {
    "name": "get_current_conditions",
    "description": "Get the current weather conditions for a specific location",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state, e.g., San Francisco, CA"},
            "unit": {
                "type": "string",
                "enum": ["Celsius", "Fahrenheit"],
                "description": "The temperature unit to use. Infer this from the user's location.",
            },
        },
        "required": ["location", "unit"],
    },
}


def conditions_episode(draw):
    """([schema], episode)"""
    place = draw.choose(list(US_PLACES)) if draw.chance(0.55) else draw.city()
    american = place in US_PLACES
    location = f"{place}, {US_PLACES[place]}" if american else place
    named = draw.chance(0.3)
    unit = draw.choose(["Celsius", "Fahrenheit"]) if named else ("Fahrenheit" if american else "Celsius")
    shown = location if american and draw.chance(0.4) else place
    where = "in {c}{u}"
    question = draw.ask(
        {"c": shown, "u": f" in {unit}" if named else ""},
        nouns=[
            f"the [weather|current weather|temperature|current conditions|weather conditions|present weather] {where}",
            "the [weather|conditions|temperature] [for|at] {c}{u}",
            f"!the state of the sky {where}",
        ],
        clauses=[f"[what|how] the weather is [like |]{where}", f"how [warm|cold|hot] it is {where}"],
        questions=[
            f"what is the weather like {where}",
            f"what's the weather [|like ]{where}",
            f"how is the weather {where}",
            f"is it [warm|cold|raining|hot|sunny|windy] {where}",
            f"how [warm|cold|hot] is it {where}",
            f"what are the [weather conditions|current conditions] {where}",
            "!what are the conditions in {c}{u}",
            "!what should I wear in {c}{u}",
        ],
        short=[
            "weather in {c}{u}",
            "{c} weather{u}",
            "Question: what is the weather like in {c}{u}?",
            "{c}{u}: weather?",
        ],
    )
    found, said = conditions_result(draw, place)
    server = f"{draw.word()}__" if draw.chance(0.15) else ""  # as a server of tools puts its name before
    schema = {**CONDITIONS_SCHEMA, "name": server + CONDITIONS_SCHEMA["name"]}
    asked = [user(question), call(schema["name"], {"location": location, "unit": unit}), found, answer(said)]
    bare = draw.chance(0.1)
    return [schema if bare else {"type": "function", "function": schema}], asked


def conditions_result(draw, place):
    high = draw.between(30, 100)
    low, sky = high - draw.between(4, 25), draw.choose(CONDITIONS)
    if draw.chance(0.35):
        if draw.chance(0.6):
            report = (
                f"Clouds giving way to sun Hi: {high}° Tonight: Mainly clear early, then areas of low clouds forming "
                f"Lo: {low}°"
            )
        else:
            report = f"{sky.capitalize()} Hi: {high}° Tonight: {draw.choose(CONDITIONS)} Lo: {low}°"
        forms = [{"tool_call_id": "get_current_conditions", "output": report}, {"output": report}, report]
        return result(draw.choose(forms)), f"The weather in {place}: {report}."
    if draw.chance(0.5):
        return result({"temperature": high, "conditions": sky}), f"The weather in {place} is {sky} with {high} degrees."
    return result({"temperature": high}), f"The temperature in {place} is {high} degrees."
