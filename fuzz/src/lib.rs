//! What the fuzz targets share: an app in memory to run scripts in, and scripts made of hostile pieces.

pub mod scripts;
pub mod world;
