//! What the shell does, whatever the screen.

mod asking;
mod forms;
mod going;
mod links;
mod looks;
mod moves;
mod pointing;
mod random;
mod toy;
mod undoing;
