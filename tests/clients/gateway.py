"""The official client at the gateway, as a person has it: a base URL, a key, a CA.

ALCAZAR_GATEWAY is the gateway's host name, ALCAZAR_GATEWAY_ADDRESS where it is reached from here, ALCAZAR_KEY_FILE holds
the key, SSL_CERT_FILE the CA, ALCAZAR_MODEL the model's name.
"""

import os
import pathlib
import socket

import openai

HOST, ADDRESS = os.environ["ALCAZAR_GATEWAY"], os.environ["ALCAZAR_GATEWAY_ADDRESS"]
MODEL = os.environ["ALCAZAR_MODEL"]
ASK = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
resolve = socket.getaddrinfo


def inside(host, *rest, **more):
    """The names of the cluster are known inside of it only."""
    return resolve(ADDRESS if host == HOST else host, *rest, **more)


socket.getaddrinfo = inside


def client(key):
    return openai.OpenAI(base_url=f"https://{HOST}/v1", api_key=key, max_retries=0, timeout=60)


def main():
    own = client(pathlib.Path(os.environ["ALCAZAR_KEY_FILE"]).read_text().strip())
    assert MODEL in [model.id for model in own.models.list()]
    answer = own.chat.completions.create(model=MODEL, messages=ASK, max_tokens=32, temperature=0)
    text = answer.choices[0].message.content
    assert "Paris" in text and answer.usage.completion_tokens > 0, answer
    chunks = own.chat.completions.create(model=MODEL, messages=ASK, max_tokens=32, temperature=0, stream=True)
    told = [(chunk.choices[0].delta.content or "", chunk.usage) for chunk in chunks]
    assert "".join(part for part, _ in told) == text and all(usage is None for _, usage in told), told
    counted = own.chat.completions.create(
        model=MODEL, messages=ASK, max_tokens=4, stream=True, stream_options={"include_usage": True}
    )
    assert list(counted)[-1].usage.completion_tokens > 0
    for wrong, error in ((client("alc_" + "x" * 43), openai.AuthenticationError), (client("x"), openai.AuthenticationError)):
        try:
            wrong.models.list()
        except error as refused:
            assert refused.body["type"] and refused.body["message"], refused.body
        else:
            raise AssertionError("a key that nobody has was taken")
    try:
        own.chat.completions.create(model="another", messages=ASK)
    except openai.NotFoundError as refused:
        assert refused.body["code"] == "model_not_found", refused.body
    else:
        raise AssertionError("a model that is not there answered")
    print("the official client through the gateway: ok")


main()
