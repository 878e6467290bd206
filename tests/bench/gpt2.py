"""A GGUF file of GPT-2 124M's shape in Q8_0 with random weights: no package brings the real ones, and speed depends on the shape.

usage: gpt2.py TOKENIZER.gguf OUT.gguf

The tokenizer is that of another model, filled up to GPT-2's number of tokens; the bench asks with tokens and short texts.
"""

import sys

import gguf
import numpy as np

N_LAYERS, WIDTH, N_HEADS, N_TOKENS, CONTEXT = 12, 768, 12, 50257, 1024
Q8_0 = gguf.GGMLQuantizationType.Q8_0


def strings(reader, key):
    field = reader.fields[key]
    return [bytes(field.parts[at]) for at in field.data]


def tokenizer(writer, reader):
    words, merges = strings(reader, "tokenizer.ggml.tokens"), strings(reader, "tokenizer.ggml.merges")
    kinds = [int(reader.fields["tokenizer.ggml.token_type"].parts[at][0]) for at in reader.fields["tokenizer.ggml.token_type"].data]
    n_more = N_TOKENS - len(words)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(strings(reader, "tokenizer.ggml.pre")[0].decode())
    writer.add_token_list(words + [f"<unused{nth}>".encode() for nth in range(n_more)])
    writer.add_token_types(kinds + [int(gguf.TokenType.UNUSED)] * n_more)
    writer.add_token_merges([merge.decode() for merge in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)


def facts(writer):
    writer.add_name("gpt2-124m-random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(4 * WIDTH)
    writer.add_block_count(N_LAYERS)
    writer.add_head_count(N_HEADS)
    writer.add_layer_norm_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def weights(writer):
    random = np.random.default_rng(124)

    def matrix(name, n_out, n_in, size=0.02):
        values = (random.standard_normal((n_out, n_in), dtype=np.float32) * size)
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, Q8_0), raw_dtype=Q8_0)

    def vector(name, value, n):
        writer.add_tensor(name, np.full(n, value, np.float32))

    def linear(name, n_out, n_in):
        matrix(name, n_out, n_in)
        vector(f"{name}.bias", 0.01, n_out)

    matrix("token_embd", N_TOKENS, WIDTH)
    writer.add_tensor("position_embd.weight", random.standard_normal((CONTEXT, WIDTH), dtype=np.float32) * np.float32(0.01))
    for layer in range(N_LAYERS):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            vector(f"{block}.{norm}.weight", 1, WIDTH)
            vector(f"{block}.{norm}.bias", 0, WIDTH)
        linear(f"{block}.attn_qkv", 3 * WIDTH, WIDTH)
        linear(f"{block}.attn_output", WIDTH, WIDTH)
        linear(f"{block}.ffn_up", 4 * WIDTH, WIDTH)
        linear(f"{block}.ffn_down", WIDTH, 4 * WIDTH)
    vector("output_norm.weight", 1, WIDTH)
    vector("output_norm.bias", 0, WIDTH)


def main():
    reader = gguf.GGUFReader(sys.argv[1])
    writer = gguf.GGUFWriter(sys.argv[2], "gpt2")
    facts(writer)
    tokenizer(writer, reader)
    weights(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
