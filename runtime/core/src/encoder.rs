//! Encoders: their dimensions, their heads, and the packed batches they work on.

use crate::{Activation, BackendError, DecoderConfig};

/// Kinds of encoders that `models` implements, with what only they have.
#[derive(Clone, Debug, PartialEq)]
pub enum EncoderFamily {
    /// BERT: learned positions, norms after each part.
    Bert,
    /// RoBERTa and XLM-RoBERTa: positions counted from behind the padding token's number.
    Roberta,
    /// DistilBERT: half of BERT's layers, no token types.
    DistilBert,
    /// ELECTRA: tables narrower than the layers.
    Electra,
    /// ALBERT: narrow tables, and layers that share their weights.
    Albert {
        /// Sets of weights; layer `n` of `n_layers` uses set `n · n_groups / n_layers`.
        n_groups: usize,
    },
    /// MPNet: a learned bias for each distance.
    Mpnet {
        /// Entries of the table of distances.
        n_buckets: usize,
    },
    /// DeBERTa v2 and v3: content and positions are attended apart.
    Deberta(Deberta),
    /// ModernBERT: norms before each part, rotary positions, gated feed-forward part.
    ModernBert(ModernBert),
    /// A decoder whose rows are pooled or judged: each row sees those before it.
    Decoder(Box<DecoderConfig>),
}

/// What DeBERTa's disentangled attention is made of.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the published configuration, each independent")]
pub struct Deberta {
    /// Whether positions are added to the tokens, too.
    pub has_positions: bool,
    /// Whether scores hold `query · position key`.
    pub content_to_position: bool,
    /// Whether scores hold `key · position query`.
    pub position_to_content: bool,
    /// Whether positions go through the projections of the content.
    pub shares_projections: bool,
    /// Whether the table of distances is normed.
    pub norms_table: bool,
    /// Distances up to here keep an entry of their own on each side; logarithmic beyond half of it. `None`: all linear.
    pub n_buckets: Option<usize>,
    /// Farthest distance that is told apart.
    pub max_distance: usize,
    /// Taps of the convolution beside the first layer.
    pub convolution: Option<Convolution>,
}

/// A convolution over neighbouring tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Neighbours seen, itself included; odd.
    pub n_taps: usize,
    /// Applied to its sum.
    pub activation: Activation,
}

/// What is ModernBERT's own.
#[derive(Clone, Debug, PartialEq)]
pub struct ModernBert {
    /// For each layer, whether it sees the whole text.
    pub is_global: Vec<bool>,
    /// Rows that the other layers see to each side.
    pub reach: usize,
    /// Rotary base of the layers that see the whole text.
    pub global_theta: f32,
    /// Rotary base of the others.
    pub local_theta: f32,
}

/// Dimensions of an encoder. Readers of `formats` check the bounds, so that products of these do not overflow.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// Which code runs it.
    pub family: EncoderFamily,
    /// As the file names it, for example `bert`.
    pub architecture: String,
    /// Layers.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the tables of tokens, positions and types.
    pub embedding: usize,
    /// Width inside the feed-forward part.
    pub feed_forward: usize,
    /// Heads.
    pub n_heads: usize,
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Entries of the table of token types; 0: there is none.
    pub n_types: usize,
    /// Entries of the table of positions, or the longest text where there is no table.
    pub n_positions: usize,
    /// Position of a text's first token.
    pub first_position: usize,
    /// Added to the variance in norms.
    pub norm_epsilon: f32,
    /// Inside the feed-forward part.
    pub activation: Activation,
    /// What is made of the last layer's rows.
    pub head: Head,
}

impl EncoderConfig {
    /// Longest text in tokens.
    pub fn max_tokens(&self) -> usize {
        let most = self.n_positions.saturating_sub(self.first_position);
        match &self.head {
            Head::Embedding(embedding) => embedding.max_tokens.map_or(most, |trained| trained.min(most)),
            _ => most,
        }
    }

    /// Elements per head.
    pub const fn head_dim(&self) -> usize {
        self.hidden / self.n_heads
    }
}

/// What an encoder was trained for.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// One vector for a text.
    Embedding(SentenceEmbedding),
    /// One score for each label of a text; with a single label a cross-encoder's relevance.
    Classification(Classification),
    /// One score for each label of a token.
    TokenClassification(Vec<String>),
    /// One score for each entry of the vocabulary at a masked token.
    FillMask,
    /// Scores of a token to begin and to end the answer.
    QuestionAnswering,
}

/// Labels of whole texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// In the order of the scores.
    pub labels: Vec<String>,
    /// Whether several labels may hold at once, so that each has a probability of its own.
    pub is_multi_label: bool,
    /// Whether the mean of the rows is judged instead of the first (ModernBERT's `classifier_pooling`).
    pub judges_mean: bool,
}

/// How rows become one vector, as `modules.json` of sentence-transformers tells.
#[derive(Clone, Debug, PartialEq)]
pub struct SentenceEmbedding {
    /// The first step.
    pub pooling: Pooling,
    /// What follows.
    pub stages: Vec<Stage>,
    /// Longest text it was trained on, in tokens, where that is shorter than the model's.
    pub max_tokens: Option<usize>,
    /// What its publisher puts before every text.
    pub prompt: Option<String>,
}

/// Many rows to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// Their sum over the square root of their number.
    MeanSqrtLength,
    /// The largest of each column.
    Max,
    /// The first.
    First,
    /// The last.
    Last,
}

/// What is done to a pooled vector.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// A matrix, perhaps a bias, and an activation.
    Dense {
        /// Name of the tensors without `.weight` and `.bias`.
        name: String,
        /// Width before.
        n_in: usize,
        /// Width after.
        n_out: usize,
        /// Applied to the sum.
        activation: Option<Activation>,
    },
    /// Divided by its length.
    Normalize,
}

impl Head {
    /// Whether there is a row for each token, not for each text.
    pub const fn is_per_token(&self) -> bool {
        matches!(self, Self::TokenClassification(_) | Self::FillMask | Self::QuestionAnswering)
    }

    /// As the model publishers' hub calls it.
    pub const fn task(&self) -> &'static str {
        match self {
            Self::Embedding(_) => "sentence-similarity",
            Self::Classification(_) => "text-classification",
            Self::TokenClassification(_) => "token-classification",
            Self::FillMask => "fill-mask",
            Self::QuestionAnswering => "question-answering",
        }
    }
}

/// Texts of one pass: the tokens of all, one text after the other, never padded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedBatch {
    /// All tokens.
    pub tokens: Vec<u32>,
    /// Of each token, 1 in the second text of a pair, else 0.
    pub types: Vec<u32>,
    /// Tokens of each text.
    pub lengths: Vec<usize>,
    /// Of heads with a row for each token: those wanted, ascending. Others do not look at it.
    pub wanted: Vec<usize>,
}

impl PackedBatch {
    /// Adds a text; the rows of `wanted` count from its first token.
    pub fn push(&mut self, tokens: &[u32], types: &[u32], wanted: &[usize]) {
        let first = self.tokens.len();
        self.wanted.extend(wanted.iter().map(|row| first + row));
        self.tokens.extend_from_slice(tokens);
        self.types.extend_from_slice(types);
        self.lengths.push(tokens.len());
    }

    /// Checks the shape once per pass, so that kernels may index without a second thought.
    pub fn check(&self, config: &EncoderConfig) -> Result<(), BackendError> {
        let invalid = |message: String| Err(BackendError::Batch { message });
        let n_rows: usize = self.lengths.iter().sum();
        if n_rows != self.tokens.len() || n_rows != self.types.len() {
            return invalid(format!("{n_rows} rows, {} tokens, {} types", self.tokens.len(), self.types.len()));
        }
        let most = config.max_tokens();
        if let Some(length) = self.lengths.iter().find(|length| **length == 0 || **length > most) {
            return invalid(format!("a text of {length} tokens, expected 1 to {most}"));
        }
        if let Some(token) = self.tokens.iter().find(|token| **token as usize >= config.vocabulary) {
            return invalid(format!("token {token} is not in the vocabulary of {}", config.vocabulary));
        }
        if let Some(kind) = self.types.iter().find(|kind| **kind as usize >= config.n_types.max(1)) {
            return invalid(format!("token type {kind}, the model has {}", config.n_types));
        }
        if !self.wanted.is_sorted_by(|a, b| a < b) || self.wanted.last().is_some_and(|last| *last >= n_rows) {
            return invalid(format!("wanted rows are not ascending below {n_rows}"));
        }
        Ok(())
    }

    /// The position of every row, of which a text's first has `first`.
    pub fn positions(&self, first: usize) -> Vec<u32> {
        let of = |length: &usize| (first..first + length).map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        self.lengths.iter().flat_map(of).collect()
    }

    /// The first row of every text.
    pub fn first_rows(&self) -> Vec<usize> {
        let before = self.lengths.iter().scan(0, |next, length| {
            let first = *next;
            *next += length;
            Some(first)
        });
        before.collect()
    }
}

/// An encoder with its weights.
pub trait Encoder: Send {
    /// Its dimensions.
    fn config(&self) -> &EncoderConfig;

    /// One pass. Answers a row for each text, or one for each wanted token: see [`Head::is_per_token`].
    fn forward(&mut self, batch: &PackedBatch) -> Result<Vec<Vec<f32>>, BackendError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> EncoderConfig {
        EncoderConfig {
            family: EncoderFamily::Roberta,
            architecture: "roberta".to_owned(),
            n_layers: 1,
            hidden: 4,
            embedding: 4,
            feed_forward: 4,
            n_heads: 2,
            vocabulary: 10,
            n_types: 1,
            n_positions: 7,
            first_position: 2,
            norm_epsilon: 1e-5,
            activation: Activation::GeluErf,
            head: Head::FillMask,
        }
    }

    fn batch(texts: &[&[u32]]) -> PackedBatch {
        let mut batch = PackedBatch::default();
        for tokens in texts {
            batch.push(tokens, &vec![0; tokens.len()], &[0]);
        }
        batch
    }

    #[test]
    fn texts_lie_one_after_the_other() {
        let batch = batch(&[&[1, 2, 3], &[4], &[5, 6]]);
        batch.check(&config()).unwrap();
        assert_eq!(batch.positions(2), [2, 3, 4, 2, 2, 3]);
        assert_eq!(batch.first_rows(), [0, 3, 4]);
        assert_eq!(batch.wanted, [0, 3, 4]);
    }

    #[test]
    fn every_way_to_index_out_of_range_is_refused() {
        let sound = batch(&[&[1, 2], &[3]]);
        let refused = |change: fn(&mut PackedBatch)| {
            let mut batch = sound.clone();
            change(&mut batch);
            batch.check(&config()).unwrap_err().to_string()
        };
        assert!(refused(|batch| batch.tokens.push(1)).contains("4 tokens"));
        assert!(refused(|batch| batch.types.clear()).contains("0 types"));
        assert!(refused(|batch| batch.tokens[0] = 10).contains("vocabulary of 10"));
        assert!(refused(|batch| batch.types[1] = 1).contains("token type 1"));
        assert!(refused(|batch| batch.wanted = vec![1, 0]).contains("ascending"));
        assert!(refused(|batch| batch.wanted = vec![3]).contains("below 3"));
        assert!(batch(&[&[0; 6]]).check(&config()).unwrap_err().to_string().contains("6 tokens, expected 1 to 5"));
        assert!(batch(&[&[]]).check(&config()).is_err());
    }
}
