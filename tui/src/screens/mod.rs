//! The screens: a file or folder each, a line in [`Screens::new`] each.

mod apps;
mod each_app;
mod elsewhere;
mod files;
mod home;
mod kv;
mod nodes;
mod routes;
mod runs;
mod scripts;
mod settings;
mod triggers;

use crate::app::{Screen, ScreenId};

/// All of them, by their number.
pub(crate) struct Screens([Box<dyn Screen>; ScreenId::ALL.len()]);

impl Screens {
    /// Without anything loaded.
    pub(crate) fn new() -> Self {
        Self(
            ScreenId::ALL
                .iter()
                .map(|id| of(*id))
                .collect::<Vec<_>>()
                .try_into()
                .unwrap_or_else(|_same| unreachable!("as many as there are")),
        )
    }

    /// One to look at.
    pub(crate) fn get(&self, id: ScreenId) -> &dyn Screen {
        self.0[id as usize].as_ref()
    }

    /// Another one in its place: for tests of the shell.
    #[cfg(test)]
    pub(crate) fn put(&mut self, id: ScreenId, screen: Box<dyn Screen>) {
        self.0[id as usize] = screen;
    }

    /// One to tell something.
    pub(crate) fn get_mut(&mut self, id: ScreenId) -> &mut dyn Screen {
        self.0[id as usize].as_mut()
    }
}

fn of(id: ScreenId) -> Box<dyn Screen> {
    match id {
        ScreenId::Home => Box::new(home::Home::new()),
        ScreenId::Nodes => Box::new(nodes::Nodes::new()),
        ScreenId::Apps => Box::new(apps::Apps::new()),
        ScreenId::Scripts => Box::new(scripts::Scripts::new()),
        ScreenId::Routes => Box::new(routes::Routes::new()),
        ScreenId::Triggers => Box::new(triggers::Triggers::new()),
        ScreenId::Kv => Box::new(kv::Kv::new()),
        ScreenId::Files => Box::new(files::Files::new()),
        ScreenId::Runs => Box::new(runs::Runs::new()),
        ScreenId::Settings => Box::new(settings::Settings::new()),
    }
}
