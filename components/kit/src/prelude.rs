//! What a component's files begin with: `use wharf_kit::prelude::*;`.

pub use garde::Validate;
pub use serde::{Deserialize, Serialize};

pub use crate::database::{self, Transaction};
pub use crate::{
    Bytes, Caller, Created, Error, Files, Form, FromRequest, Html, Identity, Inputs, IntoResponse,
    Json, NoContent, Parameters, Path, Query, Request, Response, Result, Valid, Value, cache,
    clock, delete, endpoints, every, file, get, json, options, params, patch, post, put, settings,
};
