package main

// brokenCommit is the revision of every small repository: that of the test model, so that a test need not tell them apart.
const brokenCommit = smolCommit

// broken is the small repositories by the path of each file. All but tiny-llama are wrong in one way each; README.md of the hub lists them.
func broken() map[string][]byte {
	sound := tiny("llama").encode()
	files := map[string][]byte{}
	repo := func(name string, weights []byte, fault string) {
		files["faults/"+name+"/.refs"] = []byte("main " + brokenCommit + "\n")
		files["faults/"+name+"/"+brokenCommit+"/model.gguf"] = weights
		if fault != "" {
			files["faults/"+name+"/.fault"] = []byte(fault + "\n")
		}
	}
	repo("tiny-llama", sound, "")

	// What the hub says of these is true: it is the file that is no model.
	repo("truncated-gguf", sound[:len(sound)*6/10], "")
	repo("cut-header", sound[:1000], "")
	repo("page", []byte("<!DOCTYPE html><html><body>Please sign in to the proxy</body></html>\n"), "")
	repo("absurd-dimensions", absurdDimensions(), "")
	repo("absurd-counts", absurdCounts(), "")
	repo("absurd-length", absurdLength(), "")
	repo("unsupported-architecture", tiny("mamba").encode(), "")
	repo("empty", nil, "")

	// What the hub says of these is not what it sends.
	repo("wrong-digest", sound, "*.gguf wrong 40000")
	repo("html-instead", sound, "*.gguf html")
	repo("short", sound, "*.gguf truncate 40000")
	repo("resumable", sound, "*.gguf cut 20000")
	repo("slow", sound, "*.gguf slow 8000")
	repo("stalls", sound, "*.gguf stall")
	repo("flaky", sound, "*.gguf status 500 3")
	repo("down", sound, "* status 503")
	repo("forbidden", sound, "* status 403")
	repo("loop", sound, "*.gguf loop")
	repo("metadata-redirect", sound, "*.gguf redirect http://169.254.169.254/latest/meta-data/")
	repo("file-redirect", sound, "*.gguf redirect file:///etc/passwd")
	repo("gated", sound, "")
	// The first token may read, the second is known to the hub and may not. Neither opens anything outside the tests.
	files["faults/gated/.token"] = []byte("hf_test_token_that_may_read\nhf_test_token_that_may_not\n")
	return files
}

func absurdDimensions() []byte {
	m := tiny("llama")
	m.tensors[0].dims = []uint64{1 << 40, 1 << 40}
	return m.encode()
}

func absurdCounts() []byte {
	m := tiny("llama")
	m.nTensors, m.nPairs = 1<<60, 1<<61
	return m.encode()
}

// absurdLength claims a string of 8 EiB at once.
func absurdLength() []byte {
	var out writer
	out.WriteString("GGUF")
	out.u32(3)
	out.u64(0)
	out.u64(1)
	out.u64(1 << 63)
	out.WriteString("general.architecture")
	return out.Bytes()
}
