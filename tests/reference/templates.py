"""Renders chat templates with transformers' own Jinja environment: the expected outputs of runtime/text.

Those of templates/ have the shapes of the families that they are named after, and are rendered with the same conversations.
"""

import datetime
import pathlib

from transformers.utils.chat_template_utils import _compile_jinja_template

from output import settle

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA2 = """{% if messages[0]['role'] == 'system' %}
    {% set loop_messages = messages[1:] %}
    {% set system_message = messages[0]['content'].strip() + '\\n\\n' %}
{% else %}
    {% set loop_messages = messages %}
    {% set system_message = '' %}
{% endif %}
{% for message in loop_messages %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {% endif %}
    {% if loop.index0 == 0 %}
        {% set content = system_message + message['content'] %}
    {% else %}
        {% set content = message['content'] %}
    {% endif %}
    {% if message['role'] == 'user' %}
        {{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
    {% elif message['role'] == 'assistant' %}
        {{ ' ' + content.strip() + ' ' + eos_token }}
    {% endif %}
{% endfor %}
"""
TOOLS = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "assistant" and message.tool_calls %}
        {%- for call in message.tool_calls %}
            {%- if call.function %}{%- set call = call.function %}{%- endif %}
            {{- '<tool_call>\\n{"name": "' }}
            {{- call.name }}
            {{- '", "arguments": ' }}
            {%- if call.arguments is string %}{{- call.arguments }}{%- else %}{{- call.arguments | tojson }}{%- endif %}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
    {%- elif message.role == "tool" %}
        {{- '<tool_response>\\n' + message.content + '\\n</tool_response>' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{{- ns.last_query_index }}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""
GEMMA = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{'<start_of_turn>model\n'}}{%- endif -%}
"""
PYTHON = """{%- macro part(x, sep=', ') -%}[{{ x }}{{ sep }}]{%- endmacro -%}
{{ true }} {{ none }} {{ not true }} {{ [1, 'a', true, none] }} {{ {'k': 1.5} }}
{{ part('x') }}{{ part('y', sep='') }} {{ messages | length }} {{ messages[-1]['content'].split('\\n')[0] }}
{%- for k, v in messages[0].items() %} {{ k }}={{ v | upper }}{% if not loop.last %};{% endif %}{% endfor %}
{%- for n in range(5) %}{% if n == 3 %}{% break %}{% endif %}{% if n == 1 %}{% continue %}{% endif %} {{ n }}{% endfor %}
{{ messages | map(attribute='role') | join(',') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{{ 'a-b'.replace('-', '+') }} {{ '  x '.lstrip() }}| {{ 'x' in 'axb' }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 3 }} {{ 1 / 2 }}
{{ undefined_thing is defined }} {{ undefined_thing }} {{ messages[0].get('name', 'nobody') }} {{ 'Title case'.title() }}
{{ {'b': 1, 'a': [1, {'c': 'ü<&>'}], 'e': [], 'n': none} | tojson }}
{{ {'b': 1, 'a': [1, {'c': 'ü'}], 'e': {}} | tojson(indent=4) }}
"""
GENERATION = """{% for message in messages %}
{% if message.role == 'assistant' %}{% generation %}{{ message.content }}{% endgeneration %}
{% else %}
<{{ message.role }}>{{ message.content }}
{% endif %}
{% endfor %}
"""

CHAT = [{"role": "user", "content": " Hello\nthere "}, {"role": "assistant", "content": "Hi!"}, {"role": "user", "content": "Who are you? ü€"}]
SYSTEM = [{"role": "system", "content": " Be brief. "}] + CHAT
PARTS = [{"role": "user", "content": [{"type": "text", "text": " What is it? "}, {"type": "image"}]}]
CALL = CHAT[:1] + [
    {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "look", "arguments": {"at": "it", "n": 2}}}]},
    {"role": "tool", "content": "<seen>"},
]
TOOL = [{"type": "function", "function": {"name": "look", "description": "Looks <at> \"it\"", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}]

CASES = [
    ("chatml", CHATML, CHAT, {}),
    ("chatml, system", CHATML, SYSTEM, {}),
    ("chatml, no prompt", CHATML, CHAT, {"add_generation_prompt": False}),
    ("llama 2", LLAMA2, CHAT, {}),
    ("llama 2, system", LLAMA2, SYSTEM, {}),
    ("llama 2, refused", LLAMA2, CHAT[1:], {}),
    ("tools", TOOLS, SYSTEM, {"tools": TOOL}),
    ("tools, call", TOOLS, CALL, {"tools": TOOL, "enable_thinking": False}),
    ("tools, none", TOOLS, CHAT, {}),
    ("gemma", GEMMA, SYSTEM, {}),
    ("gemma, parts", GEMMA, PARTS, {}),
    ("gemma, refused", GEMMA, [{"role": "user", "content": None}], {}),
    ("python", PYTHON, CHAT, {}),
    ("generation", GENERATION, CHAT, {}),
]


# What every template of the folder is rendered with; those that cannot say so themselves.
CALL_WITH_ID = CHAT[:1] + [
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "call12345", "type": "function", "function": {"name": "look", "arguments": {"at": "it", "n": 2}}}],
    },
    {"role": "tool", "tool_call_id": "call12345", "content": "<seen>"},
]
THOUGHT = [
    CHAT[0],
    {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nHi!", "reasoning_content": "Hm."},
    {"role": "assistant", "content": "<think>\nTwice.\n</think>\n\nHi!"},
]
SHARED = [
    ("chat", CHAT, {}),
    ("system", SYSTEM, {}),
    ("no prompt", SYSTEM[:3], {"add_generation_prompt": False}),
    ("tools", SYSTEM, {"tools": TOOL}),
    ("call", CALL_WITH_ID, {"tools": TOOL, "enable_thinking": False}),
    ("thought", THOUGHT, {"reasoning_effort": "low"}),
]
NOW = datetime.datetime(2026, 7, 4, 9, 5, 3, tzinfo=datetime.timezone.utc)


def cases():
    yield from CASES
    for file in sorted((pathlib.Path(__file__).parent / "templates").glob("*.jinja")):
        for name, messages, extra in SHARED:
            yield f"{file.stem}, {name}", file.read_text(), messages, extra


def main():
    out, templates = [], {}
    for name, template, messages, extra in cases():
        variables = {"add_generation_prompt": True, "tools": None, **extra}
        family = name.split(",")[0]
        assert templates.setdefault(family, template) == template
        case = {"name": name, "template": family, "messages": messages, "variables": variables}
        try:
            compiled = _compile_jinja_template(template)
            # The clock stands still, here as in the test.
            clock = {"strftime_now": NOW.strftime}
            case["expected"] = compiled.render(messages=messages, documents=None, bos_token="<s>", eos_token="</s>", **clock, **variables)
        except Exception as error:  # jinja2's TemplateError, raised by the template itself
            case["refused"] = str(error)
        out.append(case)
    settle("runtime/text/testdata/templates.json", {"templates": templates, "cases": out})


main()
