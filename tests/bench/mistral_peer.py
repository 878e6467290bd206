"""mistral.rs on a GGUF file, as a process: it has no server in its package, only this binding.

usage: mistral_peer.py MODEL.gguf

A line of JSON {"prompt", "max_tokens"} gives a line {"prompt_tokens", "prompt_s", "tokens", "decode_s", "text"}.
"""

import json
import os
import sys

from mistralrs import CompletionRequest, Runner, Which


def main():
    folder, file = os.path.split(os.path.abspath(sys.argv[1]))
    runner = Runner(which=Which.GGUF(quantized_model_id=folder, quantized_filename=file), prefix_cache_n=0)
    print(json.dumps({"ready": "mistral.rs"}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = runner.send_completion_request(
            CompletionRequest(model="default", prompt=asked["prompt"], max_tokens=asked["max_tokens"], temperature=0.0, top_k=1))
        usage = answer.usage
        print(json.dumps({"prompt_tokens": usage.prompt_tokens, "prompt_s": usage.total_prompt_time_sec, "tokens": usage.completion_tokens,
                          "decode_s": usage.total_completion_time_sec, "text": answer.choices[0].text}), flush=True)


main()
