//! Parts of a service that others carry out: providers, models, credentials of Windows, commands beside its own.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Span, is_false};

/// A command run in a container beside the one that it is there for: `post_start`, `pre_stop`, `sync+exec`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Hook {
    pub command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub privileged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// `None` as a value: named without one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Option<String>>,
}

/// A program that stands for the service's container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Provider {
    /// The program's name, with or without `docker-` or `compose-` before it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Each may be given several times.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Vec<String>>,
}

/// A language model of the project, from `models` at the top level.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Model {
    /// Its name at the engine, if the file gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Such as `ai/smollm2`.
    pub model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_size: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runtime_flags: Vec<String>,
    #[serde(skip)]
    pub span: Span,
}

/// How a service gets at a model: through variables, of which these are the names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ModelGrant {
    #[serde(rename = "endpoint_var", skip_serializing_if = "Option::is_none")]
    pub endpoint_variable: Option<String>,
    #[serde(rename = "model_var", skip_serializing_if = "Option::is_none")]
    pub model_variable: Option<String>,
}

/// A managed service account of Windows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CredentialSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
}
