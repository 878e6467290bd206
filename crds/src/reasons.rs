//! The closed sets of condition reasons. Only a reason of these enums is ever written to a condition, an event or a
//! metric label.

mod api_key;
mod deployment;
mod model;
mod vpn_peer;

pub use self::{api_key::ApiKeyReason, deployment::DeploymentReason, model::ModelReason, vpn_peer::VpnPeerReason};

/// An enum of names without data whose doc comments can be read at run time, so that the reference page and
/// the code say the same.
macro_rules! closed_enum {
    ($(#[doc = $enum_doc:literal])+ pub enum $name:ident { $($(#[doc = $doc:literal])+ $variant:ident,)+ }) => {
        $(#[doc = $enum_doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name as the API shows it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// The value of that name, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }

            /// What it means, as the reference page says it.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use closed_enum;
