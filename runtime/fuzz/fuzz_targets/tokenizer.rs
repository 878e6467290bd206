//! The tokenizer of a GGUF file, and some text through it.
#![no_main]

use alcazar_fuzz::in_directory;
use libfuzzer_sys::fuzz_target;

use alcazar_text::{Special, Tokenizer};

fuzz_target!(|data: &[u8]| {
    in_directory(&[("x.gguf", data)], |dir| {
        let Ok(files) = alcazar_formats::open(dir) else { return };
        let Ok(tokenizer) = Tokenizer::open(&files) else { return };
        drop(tokenizer.encode("hello é <|end|>", Special::Recognise));
    });
});
