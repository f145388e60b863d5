//! While somebody else has the terminal: the person's editor, the shell, the plain screen.

use super::outside::{self, Outside};
use super::run::Session;
use super::{copying, tty};
use crate::app::Msg;
use std::io;

impl Session {
    /// Back to the shell, until `fg`.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        self.give_away();
        let stopped = outside::suspend();
        self.take_again()?;
        stopped
    }

    /// Prints on the plain screen, and waits until the person has read it.
    pub(super) async fn print(&mut self, text: &str) -> io::Result<()> {
        self.give_away();
        outside::print(text)?;
        let is_cut = tokio::select! {
            () = self.signals.end() => true,
            () = outside::enter() => false,
        };
        self.come_back(is_cut)
    }

    /// Opens the person's editor; answers the text as it is then, or why there is none.
    pub(super) async fn edit_outside(
        &mut self,
        name: &str,
        text: String,
        line: Option<usize>,
    ) -> io::Result<Result<String, String>> {
        let outside = match Outside::new(&self.around.temp_dir, name, text) {
            Ok(outside) => outside,
            Err(why) => return Ok(Err(why)),
        };
        self.give_away();
        let (is_cut, edited) = match outside.start(self.around.editor.as_deref(), line) {
            Err(why) => (false, Err(why)),
            Ok(mut child) => tokio::select! {
                () = self.signals.end() => (true, Err("the line was lost while the editor was open".to_owned())),
                status = child.wait() => (false, outside.read(status)),
            },
        };
        self.come_back(is_cut)?;
        Ok(edited)
    }

    /// Sends text to the clipboard of whoever looks.
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        let sequence = if self.dialect.copies {
            copying::sequence(text)
        } else {
            Err("this terminal takes nothing for a clipboard: z shows this pane alone, :print prints it".to_owned())
        };
        match sequence {
            Ok(sequence) => tty::write(&sequence).map(|_took| ()),
            Err(why) => {
                self.carrier.tell(Msg::Failed(why));
                Ok(())
            }
        }
    }

    fn give_away(&mut self) {
        // Whoever has the terminal reads its keys alone.
        self.input = None;
        tty::restore();
    }

    fn come_back(&mut self, is_cut: bool) -> io::Result<()> {
        if is_cut {
            self.cut();
            return Ok(());
        }
        self.signals.forget_others();
        self.take_again()
    }
}
