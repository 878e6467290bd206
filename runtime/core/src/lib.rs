//! Types, traits and errors of the runtime. No IO, no device.
//!
//! ```text
//!  formats ──WeightSource──► models ──Backend──► backend-*
//!                              │
//!  engine ───────Batch───────► Model ──► Logits
//! ```
//! A model family is written against [`Backend`], the engine against [`Model`]; neither names a device.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod adapter;
pub mod attention;
pub mod backend;
pub mod batch;
pub mod config;
pub mod encoder;
pub mod error;
pub mod ids;
pub mod model;
pub mod weights;

pub use adapter::{AdapterModule, AdapterSource};
pub use attention::{AttentionSpec, Disentangled, DistanceBias, PackedAttention};
pub use backend::{Activation, Backend, Gating, RopeStyle};
pub use batch::{Batch, CacheShape, Sequence};
pub use config::{DecoderConfig, Family, RopeConfig, RopeScaling, WeightNames};
pub use encoder::{Encoder, EncoderConfig, EncoderFamily, Head, PackedBatch};
pub use error::BackendError;
pub use ids::{AdapterId, BlockId, SeqId, TokenId};
pub use model::{Logits, Model};
pub use weights::{RawTensor, SourceError, WeightSource, WeightType};
