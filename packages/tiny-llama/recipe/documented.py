"""The examples that the documentation of the prompt format gives, as evaluation cases. Training holds their wordings:
they are no test of anything held out."""

from kinds.conditions import CONDITIONS_SCHEMA

DATE = "23 Jul 2024"
SYSTEM = "You are a helpful assistant."
REPORT = "Clouds giving way to sun Hi: 76° Tonight: Mainly clear early, then areas of low clouds forming Lo: 56°"
WEB = ["brave_search", "wolfram_alpha"]
MENLO_PARK = {
    "Menlo Park, California": "Menlo Park, California weather today: partly cloudy, high of 76°F, low of 56°F."
}


def documented_cases():
    for question in (
        "What is the current weather in Menlo Park, California?",
        "Weather in Menlo Park, California",
        "What is the weather in Menlo Park, California?",
    ):
        call = {"name": "brave_search", "arguments": {"query": "current weather in Menlo Park, California"}}
        yield case(question, [call], ["76°F"], builtin_tools=WEB, documents=MENLO_PARK)
    equation = "x^3 - 4x^2 + 6x - 24 = 0"
    solver = {"name": "wolfram_alpha", "description": "wolfram_alpha", "parameters": QUERY}
    yield case(
        f"Can you help me solve this equation: {equation}",
        [{"name": "wolfram_alpha", "arguments": {"query": f"solve {equation}"}}],
        ["x = 4"],
        builtin_tools=WEB,
        tools=[{"schema": solver, "result": {"queryresult": {"success": True, "pods": [pod("x = 4")]}}}],
    )
    for question, city in (
        ("What is the weather like in Menlo Park?", "Menlo Park"),
        ("Question: What is the weather like in San Francisco?", "San Francisco"),
        ("What is the weather like in San Francisco?", "San Francisco"),
    ):
        for in_user in (True, False):
            call = {"name": "get_current_conditions", "arguments": {"location": f"{city}, CA", "unit": "Fahrenheit"}}
            schema = {"type": "function", "function": CONDITIONS_SCHEMA}
            result = {"tool_call_id": "get_current_conditions", "output": REPORT}
            tools = [{"schema": schema, "result": result}]
            yield case(question, [call], ["Hi: 76°"], tools=tools, tools_in_user_message=in_user)


QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


def pod(text):
    return {"title": "Result", "primary": True, "subpods": [{"title": "", "plaintext": text}]}


def case(question, calls, answer, **setting):
    return {
        "system": SYSTEM,
        "date": DATE,
        **setting,
        "question": question,
        "expectCalls": calls,
        "expectAnswer": answer,
    }
