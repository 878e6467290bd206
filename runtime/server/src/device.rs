//! What computes: a GPU when there is one and this build can use it, else the CPUs. The only place that names a backend.

use std::num::NonZeroUsize;

use alcazar_backend_candle::CandleBackend;
use alcazar_backend_cpu::{CachePrecision, CpuBackend};
use alcazar_core::{
    AdapterSource, BackendError, CacheShape, DecoderConfig, Encoder, EncoderConfig, Model, WeightSource, WeightType,
};
use alcazar_formats::Facts;
use alcazar_models::LoadError;

pub(crate) enum Device {
    Gpu(CandleBackend),
    Cpu(CpuBackend),
}

impl Device {
    /// The best there is; on CPUs `n_threads` compute.
    pub(crate) fn open(n_threads: NonZeroUsize) -> Result<Self, BackendError> {
        Ok(match CandleBackend::gpu()? {
            Some(gpu) => Self::Gpu(gpu),
            None => Self::Cpu(CpuBackend::new(n_threads, CachePrecision::F16)),
        })
    }

    /// `CPU`, or the kind of the GPU.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Gpu(gpu) => gpu.device_name(),
            Self::Cpu(cpu) => cpu.device_name(),
        }
    }

    /// Memory that a token's keys and values take.
    pub(crate) fn cache_bytes_per_token(&self, config: &DecoderConfig) -> u64 {
        match self {
            Self::Gpu(gpu) => gpu.cache_bytes_per_token(config),
            Self::Cpu(cpu) => cpu.cache_bytes_per_token(config),
        }
    }

    pub(crate) fn load(
        self,
        config: &DecoderConfig,
        source: &dyn WeightSource,
        cache: CacheShape,
        adapters: &[&dyn AdapterSource],
    ) -> Result<Box<dyn Model>, LoadError> {
        match self {
            Self::Gpu(gpu) => alcazar_models::load_with_adapters(gpu, config, source, cache, adapters),
            Self::Cpu(cpu) => alcazar_models::load_with_adapters(cpu, config, source, cache, adapters),
        }
    }

    pub(crate) fn load_encoder(
        self,
        config: &EncoderConfig,
        source: &dyn WeightSource,
    ) -> Result<Box<dyn Encoder>, LoadError> {
        match self {
            Self::Gpu(gpu) => alcazar_models::load_encoder(gpu, config, source),
            Self::Cpu(cpu) => alcazar_models::load_encoder(cpu, config, source),
        }
    }
}

/// Memory that the weights take once they are loaded, which may differ from the file.
pub(crate) fn weight_memory(facts: &Facts) -> u64 {
    sum(facts.served_bytes.iter().copied())
}

/// The same of an adapter's matrices.
pub(crate) fn adapter_memory(adapter: &dyn AdapterSource) -> u64 {
    let tensors = adapter.modules().iter().flat_map(|module| &module.tensors);
    let bytes = |(weight_type, shape): (WeightType, Vec<usize>)| Some((weight_type, weight_type.tensor_bytes(&shape)?));
    sum(tensors.filter_map(|name| bytes(adapter.describe(name)?)))
}

/// Types and their bytes in files.
fn sum(parts: impl Iterator<Item = (WeightType, u64)>) -> u64 {
    let memory: fn(WeightType, u64) -> u64 = match CandleBackend::gpu() {
        Ok(Some(_)) => CandleBackend::memory_bytes,
        _ => CpuBackend::memory_bytes,
    };
    parts.fold(0, |sum: u64, (weight_type, bytes)| sum.saturating_add(memory(weight_type, bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_counted_as_they_are_kept() {
        // Whole tiles of every kernel.
        let n = 64 * 256;
        assert_eq!(CpuBackend::memory_bytes(WeightType::F32, 4 * n), 4 * n);
        assert_eq!(CpuBackend::memory_bytes(WeightType::F16, 2 * n), 2 * n);
        assert_eq!(CpuBackend::memory_bytes(WeightType::Q4_0, n / 32 * 18), n / 32 * 18);
        assert_eq!(CandleBackend::memory_bytes(WeightType::F16, 2 * n), 4 * n);
        assert_eq!(CandleBackend::memory_bytes(WeightType::Q4_0, 18), 18);
    }
}
