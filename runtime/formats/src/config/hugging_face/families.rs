//! What each family does otherwise than Llama, by its `config.json`.

mod gpt;
mod llama;

use alcazar_core::{DecoderConfig, Family};

use super::Keys;
use crate::Error;

pub(super) fn adapt(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    match config.family {
        Family::Gpt2 | Family::GptBigCode | Family::GptJ | Family::GptNeo | Family::Opt | Family::Bloom => {
            gpt::old(keys, config)
        }
        Family::GptNeoX => gpt::gpt_neox(keys, config),
        Family::Falcon => gpt::falcon(keys, config),
        _ => llama::adapt(keys, config),
    }
}
