//! What computes: a GPU when there is one and this build can use it, else the CPUs. The only place that names a backend.

use std::num::NonZeroUsize;

use alcazar_backend_candle::CandleBackend;
use alcazar_backend_cpu::{CachePrecision, CpuBackend};
use alcazar_core::{
    AdapterSource, BackendError, CacheShape, DecoderConfig, Encoder, EncoderConfig, Model, WeightSource, WeightType,
};
use alcazar_formats::Facts;
use alcazar_models::LoadError;

/// Width of the matrices that weights are counted as where only their type and bytes are known: whole blocks of all types.
const COUNTED_WIDTH: usize = 256;

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
    let memory: fn(WeightType, u64) -> u64 = match CandleBackend::gpu() {
        Ok(Some(_)) => CandleBackend::memory_bytes,
        _ => cpu_memory,
    };
    facts.served_bytes.iter().fold(0, |sum: u64, (weight_type, bytes)| sum.saturating_add(memory(*weight_type, *bytes)))
}

/// Memory that an adapter's matrices take once they are loaded.
pub(crate) fn adapter_memory(adapter: &dyn AdapterSource) -> u64 {
    let is_gpu = matches!(CandleBackend::gpu(), Ok(Some(_)));
    let tensors = adapter.modules().iter().flat_map(|module| &module.tensors);
    let memory = |name: &String| match adapter.describe(name) {
        Some((weight_type, shape)) if is_gpu => {
            CandleBackend::memory_bytes(weight_type, weight_type.tensor_bytes(&shape).unwrap_or_default())
        }
        Some((weight_type, shape)) => match shape.as_slice() {
            &[n_out, n_in] => alcazar_backend_cpu::memory_bytes(weight_type, [n_out, n_in]),
            _ => 0,
        },
        None => 0,
    };
    tensors.map(memory).fold(0, u64::saturating_add)
}

fn cpu_memory(weight_type: WeightType, file_bytes: u64) -> u64 {
    let n_blocks = file_bytes.div_ceil(weight_type.block_bytes() as u64);
    let n = usize::try_from(n_blocks.saturating_mul(weight_type.block_elements() as u64)).unwrap_or(usize::MAX);
    alcazar_backend_cpu::memory_bytes(weight_type, [n.div_ceil(COUNTED_WIDTH), COUNTED_WIDTH])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_counted_as_they_are_kept() {
        // 64 rows of 256, whole tiles of every kernel.
        let n = 64 * COUNTED_WIDTH as u64;
        assert_eq!(cpu_memory(WeightType::F32, 4 * n), 4 * n);
        assert_eq!(cpu_memory(WeightType::F16, 2 * n), 2 * n);
        assert_eq!(cpu_memory(WeightType::Q4_0, n / 32 * 18), n / 32 * 18);
        assert_eq!(CandleBackend::memory_bytes(WeightType::F16, 2 * n), 4 * n);
        assert_eq!(CandleBackend::memory_bytes(WeightType::Q4_0, 18), 18);
    }
}
