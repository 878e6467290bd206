//! Where a model is tested: on both backends.

use std::num::NonZeroUsize;

use alcazar_backend_candle::CandleBackend;
use alcazar_backend_cpu::{CachePrecision, CpuBackend};
use alcazar_core::{AdapterSource, CacheShape, DecoderConfig, Encoder, EncoderConfig, Model, WeightSource};

use crate::{LoadError, load_encoder, load_with_adapters};

/// A backend, and for the CPU's what it keeps keys and values as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Candle,
    Cpu(CachePrecision),
}

impl On {
    pub(crate) const ALL: [Self; 3] = [Self::Candle, Self::Cpu(CachePrecision::F32), Self::SERVED];
    /// What serves on CPUs: keys and values are rounded to f16.
    pub(crate) const SERVED: Self = Self::Cpu(CachePrecision::F16);

    pub(crate) fn load(
        self,
        config: &DecoderConfig,
        source: &dyn WeightSource,
        cache: CacheShape,
    ) -> Result<Box<dyn Model>, LoadError> {
        self.load_with_adapters(config, source, cache, &[])
    }

    pub(crate) fn load_with_adapters(
        self,
        config: &DecoderConfig,
        source: &dyn WeightSource,
        cache: CacheShape,
        adapters: &[&dyn AdapterSource],
    ) -> Result<Box<dyn Model>, LoadError> {
        match self {
            Self::Candle => load_with_adapters(CandleBackend::cpu(), config, source, cache, adapters),
            Self::Cpu(precision) => load_with_adapters(cpu(precision), config, source, cache, adapters),
        }
    }

    pub(crate) fn load_encoder(
        self,
        config: &EncoderConfig,
        source: &dyn WeightSource,
    ) -> Result<Box<dyn Encoder>, LoadError> {
        match self {
            Self::Candle => load_encoder(CandleBackend::cpu(), config, source),
            Self::Cpu(precision) => load_encoder(cpu(precision), config, source),
        }
    }
}

/// With a worker beside the caller, so that the work is shared.
fn cpu(precision: CachePrecision) -> CpuBackend {
    CpuBackend::new(NonZeroUsize::new(2).unwrap(), precision)
}
