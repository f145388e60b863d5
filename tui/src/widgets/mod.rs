//! Pieces that screens are made of: pure state, keys in, cells out.

pub(crate) mod editor;
pub(crate) mod form;
pub(crate) mod fuzzy;
pub(crate) mod input;
pub(crate) mod json;
pub(crate) mod list;
pub(crate) mod panel;
pub(crate) mod picker;
pub(crate) mod reader;
pub(crate) mod split;
pub(crate) mod spots;
pub(crate) mod state;
pub(crate) mod text;
pub(crate) mod window;
