package main

import "slices"

const (
	width   = 32
	hidden  = 64
	heads   = 4
	headsKV = 2
	context = 256
	nBytes  = 256
)

// tiny is a sound llama of 20 thousand weights whose tokens are the 256 bytes and two merges: it loads and answers (nonsense) in no time.
func tiny(architecture string) model {
	tokens, types := byteTokens()
	tokens, types = append(tokens, "he", "ll"), append(types, 1, 1)
	endOfText := uint32(len(tokens))
	for _, special := range []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"} {
		tokens, types = append(tokens, special), append(types, 3)
	}
	a := architecture + "."
	m := model{metadata: []pair{
		{"general.architecture", architecture},
		{"general.name", "tiny " + architecture},
		{"general.file_type", uint32(0)},
		{a + "vocab_size", uint32(len(tokens))},
		{a + "context_length", uint32(context)},
		{a + "embedding_length", uint32(width)},
		{a + "feed_forward_length", uint32(hidden)},
		{a + "block_count", uint32(1)},
		{a + "attention.head_count", uint32(heads)},
		{a + "attention.head_count_kv", uint32(headsKV)},
		{a + "attention.layer_norm_rms_epsilon", float32(1e-5)},
		{a + "rope.dimension_count", uint32(width / heads)},
		{a + "rope.freq_base", float32(10_000)},
		{"tokenizer.ggml.model", "gpt2"},
		{"tokenizer.ggml.pre", "smollm"},
		{"tokenizer.ggml.tokens", tokens},
		{"tokenizer.ggml.token_type", types},
		{"tokenizer.ggml.merges", []string{"h e", "l l"}},
		{"tokenizer.ggml.bos_token_id", endOfText},
		{"tokenizer.ggml.eos_token_id", endOfText + 2},
		{"tokenizer.chat_template", "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"},
	}}
	random := uint32(1)
	add := func(name string, dims ...uint64) {
		n := uint64(1)
		for _, dim := range dims {
			n *= dim
		}
		t := tensor{name: name, dims: dims, data: make([]float32, n)}
		for i := range t.data {
			// Norms are ones; the others come from a fixed linear congruence, so that the file is the same everywhere.
			t.data[i] = 1
			if len(dims) > 1 {
				random = random*1664525 + 1013904223
				t.data[i] = (float32(random>>8)/(1<<24) - 0.5) / 4
			}
		}
		m.tensors = append(m.tensors, t)
	}
	kv := uint64(width / heads * headsKV)
	add("token_embd.weight", width, uint64(len(tokens)))
	add("blk.0.attn_norm.weight", width)
	add("blk.0.attn_q.weight", width, width)
	add("blk.0.attn_k.weight", width, kv)
	add("blk.0.attn_v.weight", width, kv)
	add("blk.0.attn_output.weight", width, width)
	add("blk.0.ffn_norm.weight", width)
	add("blk.0.ffn_gate.weight", width, hidden)
	add("blk.0.ffn_up.weight", width, hidden)
	add("blk.0.ffn_down.weight", hidden, width)
	add("output_norm.weight", width)
	return m
}

// byteTokens are the 256 bytes as byte-level BPE writes them: printable ones as themselves, the others from U+0100 on.
func byteTokens() ([]string, []int32) {
	tokens, next := make([]string, nBytes), rune(0x100)
	for b := range rune(nBytes) {
		printable := (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF)
		if printable {
			tokens[b] = string(b)
		} else {
			tokens[b] = string(next)
			next++
		}
	}
	return tokens, slices.Repeat([]int32{1}, nBytes)
}
