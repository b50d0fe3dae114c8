//! A folder with sources, and how far what is made of them has come.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::build::{Known, Scope, Source, Stamps};

/// A folder that makes a component, or may.
#[derive(Default)]
pub(super) struct Bench {
    /// The group that it made when that could be read last.
    pub(super) group: Option<String>,
    pub(super) scope: Scope,
    /// How the sources were when it was built last; `None` if it never was.
    pub(super) built: Option<Stamps>,
    pub(super) standing: Standing,
    /// Whether it did not build, and that is not said before it was built once more; and whether that was so when
    /// it was built before.
    pub(super) is_put_off: bool,
    was_put_off: bool,
}

/// What became of what was built last.
#[derive(Default)]
pub(super) enum Standing {
    /// There is no component.
    #[default]
    Missing,
    /// It serves; its digest.
    Serving(String),
    /// It lies here, and cannot serve, and why.
    Refused(PathBuf, String),
}

impl Bench {
    /// Finds out what the folder's component is made of, and how that is before it is built.
    pub(super) async fn find_sources(
        &mut self,
        folder: &Path,
        outputs: &BTreeSet<PathBuf>,
        known: &mut Known,
    ) {
        if !self.is_known() {
            let scope = match Source::read(folder) {
                Ok(Some(source)) => source.scope(known).await,
                Ok(None) | Err(_) => Scope::of_folder(folder),
            };
            self.scope = scope.without(outputs);
        }
        self.built = Some(self.scope.look());
    }

    /// Looks after files as well that the compiler says it has read.
    pub(super) fn widen(&mut self, read: &[PathBuf]) {
        let wider = self.scope.clone().with(read.iter().cloned());
        if wider != self.scope {
            self.built = self.built.as_ref().map(|built| built.widened(&self.scope, &wider));
            self.scope = wider;
        }
    }

    /// It is built now.
    pub(super) fn begin(&mut self) {
        (self.was_put_off, self.is_put_off) = (self.is_put_off, false);
    }

    /// Puts off to say that it does not build, if its sources are others by now; not twice in a row.
    pub(super) fn put_off(&mut self) -> bool {
        self.is_put_off = !self.was_put_off && self.has_changed();
        self.is_put_off
    }

    /// It makes this group. Another than before is none of which anything serves.
    pub(super) fn regroup(&mut self, group: Option<String>) {
        if self.group != group {
            (self.group, self.standing) = (group, Standing::Missing);
        }
    }

    fn has_changed(&self) -> bool {
        let Some(built) = &self.built else { return true };
        self.scope.look().changed_since(built).next().is_some()
    }

    /// Whether it is known what it is made of: nothing has changed that says so.
    fn is_known(&self) -> bool {
        let Some(built) = &self.built else { return false };
        self.group.is_some() && !Stamps::are_manifests(self.scope.look().changed_since(built))
    }
}
