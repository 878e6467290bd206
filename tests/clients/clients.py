"""The Python clients against a running server (ALCAZAR_API): whatever the model says, the form must be right."""

import json
import os
import sys
import time
from typing import Literal

import instructor
import litellm
import openai
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

BASE = os.environ["ALCAZAR_API"] + "/v1"
MODEL = "smollm2"
client = openai.OpenAI(base_url=BASE, api_key="none", max_retries=0, timeout=60)
ASK = [{"role": "user", "content": "Name a city in Italy."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["C", "F"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


class City(BaseModel):
    """A city."""

    name: str = Field(max_length=20)
    millions: int = Field(ge=0, le=40)


def chat(**more):
    return client.chat.completions.create(**{"model": MODEL, "messages": ASK, "max_tokens": 16, "temperature": 0, **more})


def openai_chat():
    answer = chat()
    choice = answer.choices[0]
    assert choice.message.content and choice.finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    seeded = [chat(temperature=1, seed=7, n=2) for _ in range(2)]
    texts = [[choice.message.content for choice in answer.choices] for answer in seeded]
    assert texts[0] == texts[1] and len(texts[0]) == 2, texts


def openai_stream():
    whole = chat().choices[0].message.content
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert chunks[-1].usage.completion_tokens > 0 and not chunks[-1].choices


def openai_adapter():
    models = {model.id: model for model in client.models.list()}
    assert list(models) == [MODEL, "tuned"] and models["tuned"].parent == MODEL, models
    answer, base = chat(model="tuned"), chat()
    assert (answer.model, base.model) == ("tuned", MODEL)
    assert answer.choices[0].message.content != base.choices[0].message.content
    assert chat(model="tuned").choices[0].message.content == answer.choices[0].message.content


def openai_logprobs():
    content = chat(logprobs=True, top_logprobs=3, max_tokens=4).choices[0].logprobs.content
    assert len(content) == 4 and all(len(token.top_logprobs) == 3 for token in content)
    assert all(token.logprob == token.top_logprobs[0].logprob <= 0 for token in content), "greedy"
    answer = client.completions.create(model=MODEL, prompt="Rome is", echo=True, logprobs=1, max_tokens=2, temperature=0)
    told = answer.choices[0].logprobs
    assert "".join(told.tokens) == answer.choices[0].text and told.token_logprobs[0] is None
    assert [choice.index for choice in client.completions.create(model=MODEL, prompt=["a", "b"], max_tokens=1).choices] == [0, 1]


def openai_tools():
    answer = chat(tools=[WEATHER], tool_choice="required", max_tokens=120)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls" and message.tool_calls, answer
    call = message.tool_calls[0]
    arguments = json.loads(call.function.arguments)
    assert call.function.name == "weather" and arguments["unit"] in ("C", "F")
    result = {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}
    assert chat(messages=[*ASK, message.model_dump(exclude_none=True), result], tools=[WEATHER]).choices
    name, pieces = None, ""
    named = {"type": "function", "function": {"name": "weather"}}
    for chunk in chat(tools=[WEATHER], tool_choice=named, stream=True, max_tokens=120):
        for delta in chunk.choices[0].delta.tool_calls or []:
            name = delta.function.name or name
            pieces += delta.function.arguments or ""
    assert name == "weather" and set(json.loads(pieces)) == {"city", "unit"}


def openai_structured():
    parsed = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=City, max_tokens=60)
    assert isinstance(parsed.choices[0].message.parsed, City)
    answer = chat(response_format={"type": "json_object"}, max_tokens=2)
    assert answer.choices[0].message.content.startswith("{")
    answer = chat(extra_body={"guided_choice": ["Rome", "Milan"]})
    assert answer.choices[0].message.content in ("Rome", "Milan")
    answer = chat(extra_body={"structured_outputs": {"regex": "[A-Z][a-z]{2,9}\\."}})
    assert answer.choices[0].message.content.endswith(".")


def openai_responses():
    answer = client.responses.create(model=MODEL, input="Say hello.", max_output_tokens=8, store=False)
    assert answer.output_text and answer.status in ("completed", "incomplete")
    parsed = client.responses.parse(model=MODEL, input="A city.", text_format=City, max_output_tokens=60)
    assert isinstance(parsed.output_parsed, City)
    tools = [{"type": "function", "strict": False, **WEATHER["function"]}]
    with client.responses.stream(model=MODEL, input="Rain?", tools=tools, tool_choice="required", max_output_tokens=120) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] in ("response.completed", "response.incomplete"), kinds
    assert final.output[0].type == "function_call" and final.output[0].name == "weather"


def openai_errors():
    for more, error, param in [
        ({"temperature": 9}, openai.BadRequestError, "temperature"),
        ({"model": "other"}, openai.NotFoundError, "model"),
        ({"max_tokens": 99999}, openai.BadRequestError, "max_tokens"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "y"}}}},
         openai.BadRequestError, "response_format.json_schema.schema"),
    ]:
        try:
            chat(**more)
        except error as failed:
            assert failed.param == param, failed
        else:
            raise AssertionError(f"{more} was taken")


def with_litellm():
    options = {"model": f"openai/{MODEL}", "api_base": BASE, "api_key": "none", "messages": ASK, "max_tokens": 8}
    assert litellm.completion(**options).choices[0].message.content
    chunks = list(litellm.completion(**options, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    answer = litellm.completion(**{**options, "max_tokens": 120}, tools=[WEATHER], tool_choice="required")
    assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments)["unit"] in ("C", "F")


def with_langchain():
    @tool
    def weather(city: Literal["Rome", "Oslo"]) -> str:
        """The weather in a city."""
        return city

    model = ChatOpenAI(base_url=BASE, api_key="none", model=MODEL, max_tokens=100, temperature=0, max_retries=0)
    assert model.invoke("Hello").content
    assert "".join(chunk.content for chunk in model.stream("Hello"))
    answer = model.bind_tools([weather], tool_choice="weather").invoke("Weather in Rome?")
    assert isinstance(answer, AIMessage) and answer.tool_calls[0]["name"] == "weather"
    result = ToolMessage("rain", tool_call_id=answer.tool_calls[0]["id"])
    assert model.invoke([HumanMessage("Weather in Rome?"), answer, result])
    assert isinstance(model.with_structured_output(City).invoke("A city."), City)


def with_instructor():
    for mode in (instructor.Mode.JSON_SCHEMA, instructor.Mode.TOOLS):
        wrapped = instructor.from_openai(client, mode=mode)
        city = wrapped.chat.completions.create(model=MODEL, messages=ASK, response_model=City, max_tokens=80, max_retries=0)
        assert isinstance(city, City)


def main():
    tests = [openai_chat, openai_stream, openai_adapter, openai_logprobs, openai_tools, openai_structured, openai_responses, openai_errors]
    tests += [with_litellm, with_langchain, with_instructor]
    failed = 0
    for test in tests:
        started = time.monotonic()
        try:
            test()
            print(f"ok   {test.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception as error:  # every client is tried
            failed += 1
            print(f"FAIL {test.__name__}: {type(error).__name__}: {error}", flush=True)
    sys.exit(failed > 0)


main()
