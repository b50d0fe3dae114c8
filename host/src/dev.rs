//! What `wharf dev` does besides serving: it looks after the sources of components, builds what has changed, and
//! has the deploy room put it in place of what serves.
//!
//! One thing happens after the other. What is saved while something is built is seen when that is done, however
//! often it was saved, and leads to one more build.

mod bench;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::build::{self, Built, Failed, Known, Place, Profile, Source};
use crate::deploy::{Deployer, Replaced};
use crate::tenant::broken::Broken;
use bench::{Bench, Standing};
use watch::Watch;

/// The folders whose components are looked after.
pub struct Workshop {
    places: Vec<Place>,
    /// Where components are written to.
    components: PathBuf,
    /// What the host writes, which may lie among sources.
    outputs: BTreeSet<PathBuf>,
    /// By folder.
    benches: BTreeMap<PathBuf, Bench>,
    watch: Watch,
}

/// Whether there is something to be built already when a round is over.
#[derive(PartialEq, Eq)]
enum Left {
    Something,
    Nothing,
}

/// How often it is looked whether sources are still being written: a file that grows without end is somebody's log.
const MOST_LOOKS: u32 = 25;

impl Workshop {
    /// Looks after the components of these places, and writes them to a folder. The host writes `outputs`.
    ///
    /// # Errors
    /// The system watches no folders.
    pub fn open(
        places: Vec<Place>,
        components: PathBuf,
        outputs: impl IntoIterator<Item = PathBuf>,
    ) -> Result<Self, String> {
        let outputs = outputs.into_iter().chain([components.clone()]);
        let outputs = outputs.filter_map(|path| std::path::absolute(path).ok()).collect();
        Ok(Workshop { places, components, outputs, benches: BTreeMap::new(), watch: Watch::new()? })
    }

    /// Builds everything for the first time, and has serve what can. What cannot is told on standard error.
    pub async fn begin(&mut self, deployer: &Deployer) {
        while self.round(deployer).await == Left::Something {}
    }

    /// Goes on for ever: whenever something is saved, what is made of it is built and put in place.
    pub async fn go_on(&mut self, deployer: &Deployer) {
        loop {
            self.watch.something().await;
            while self.round(deployer).await == Left::Something {}
        }
    }

    /// Brings what serves in line with the sources as they are now.
    async fn round(&mut self, deployer: &Deployer) -> Left {
        let folders = self.folders();
        let mut something = self.clear(&folders, deployer).await;
        let mut known = Known::default();
        for folder in &folders {
            self.benches.entry(folder.clone()).or_default();
        }
        let changed = self.changed(&folders).await;
        // First: what is saved from now on is told of.
        for folder in &changed {
            if let Some(bench) = self.benches.get_mut(folder) {
                bench.find_sources(folder, &self.outputs, &mut known).await;
            }
        }
        self.watch_all();
        for folder in &changed {
            something |= self.make(folder, deployer).await;
        }
        self.watch_all();
        // What one group lacked, or had taken, may have come or gone with another.
        while something {
            something = self.try_again(deployer).await;
        }
        let is_left = self.benches.values().any(|bench| bench.is_put_off);
        if is_left { Left::Something } else { Left::Nothing }
    }

    /// The folders whose sources have changed, once nobody is about to change them further.
    async fn changed(&self, folders: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
        let mut tries = 0;
        loop {
            let (mut changed, mut is_young) = (Vec::new(), false);
            for (folder, bench) in folders.iter().filter_map(|one| self.benches.get_key_value(one))
            {
                let now = bench.scope.look();
                let files = bench.built.iter().flat_map(|built| now.changed_since(built));
                let files: Vec<&Path> = files.collect();
                if bench.built.is_none() || bench.is_put_off || !files.is_empty() {
                    changed.push(folder.clone());
                }
                // Most editors empty a file before they write it.
                is_young |= files.into_iter().any(watch::was_just_written);
            }
            tries += 1;
            if !is_young || tries > MOST_LOOKS {
                return changed;
            }
            tokio::time::sleep(watch::QUIET).await;
        }
    }

    fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        for place in &self.places {
            match place.folders() {
                Ok(found) => folders.extend(found),
                Err(why) => tracing::warn!(why, "cannot look for components"),
            }
        }
        folders
    }

    /// Takes groups out whose folders are gone; says whether there were any.
    async fn clear(&mut self, folders: &BTreeSet<PathBuf>, deployer: &Deployer) -> bool {
        let gone: Vec<PathBuf> =
            self.benches.keys().filter(|folder| !folders.contains(*folder)).cloned().collect();
        let mut something = false;
        for folder in gone {
            let group = self.benches.remove(&folder).and_then(|bench| bench.group);
            if let Some(group) = group {
                something |= self.take_out(&group, deployer).await;
            }
        }
        if something {
            // Two that made the same group are one now.
            for bench in self.benches.values_mut().filter(|bench| bench.group.is_none()) {
                bench.built = None;
            }
        }
        something
    }

    async fn take_out(&self, group: &str, deployer: &Deployer) -> bool {
        // It may have moved to another folder.
        if self.benches.values().any(|bench| bench.group.as_deref() == Some(group)) {
            return false;
        }
        if let Err(refusal) = deployer.take_out(group).await {
            complain(&format!("group {group} serves on without its sources: {refusal}"));
            return false;
        }
        // Nobody is to find it who serves the folder later.
        let _ = std::fs::remove_file(self.components.join(format!("{group}.wasm")));
        println!("{group} is gone, and its routes with it");
        true
    }

    fn watch_all(&mut self) {
        let places = self.places.iter().map(|place| place.folder().to_owned());
        let sources = self.benches.values().filter_map(|bench| bench.built.as_ref());
        let sources = sources.flat_map(|stamps| stamps.folders().iter().cloned());
        self.watch.these(places.chain(sources).collect());
    }

    /// Builds what a folder makes, and puts it online; says whether that has changed what serves.
    async fn make(&mut self, folder: &Path, deployer: &Deployer) -> bool {
        let Some(bench) = self.benches.get_mut(folder) else { return false };
        bench.begin();
        let before = bench.group.clone();
        let source = match Source::read(folder) {
            Ok(source) => source,
            Err(why) => {
                // Which group it is, may be what cannot be read.
                self.broke(before.as_deref(), why.into(), deployer).await;
                self.stands(folder, before, Standing::Missing);
                return false;
            }
        };
        let group = source.as_ref().map(|source| source.group().to_owned());
        bench.regroup(group.clone());
        let mut something = false;
        if let Some(before) = before.filter(|before| Some(before) != group.as_ref()) {
            something |= self.take_out(&before, deployer).await;
        }
        let (Some(source), Some(group)) = (source, group) else { return something };
        if let Some(other) = self.other_of(&group, folder) {
            complain(&format!(
                "the folders {} and {} both make group {group}; give one of them another group in its wharf-plugin.toml",
                other.display(),
                folder.display()
            ));
            self.stands(folder, None, Standing::Missing);
            return something;
        }
        let begun = Instant::now();
        match source.build(Profile::Dev).await {
            Ok(built) => {
                if let Some(bench) = self.benches.get_mut(folder) {
                    bench.widen(&built.read);
                }
                something | self.put_online(folder, &group, &built, begun.elapsed(), deployer).await
            }
            // What was saved while it was built may have been read half, and is built next.
            Err(_) if self.benches.get_mut(folder).is_some_and(Bench::put_off) => something,
            Err(failed) => {
                self.broke(Some(&group), failed, deployer).await;
                self.stands(folder, Some(group), Standing::Missing);
                something
            }
        }
    }

    /// Has a component serve that was built so quickly.
    async fn put_online(
        &mut self,
        folder: &Path,
        group: &str,
        built: &Built,
        built_in: Duration,
        deployer: &Deployer,
    ) -> bool {
        let digest = hex::encode(Sha256::digest(&built.component));
        let standing = self.benches.get(folder).map(|bench| &bench.standing);
        if matches!(standing, Some(Standing::Serving(same)) if *same == digest) {
            // Where nothing was to be done, nothing is said: the terminal may lead to a file among the sources.
            if built.was_compiled {
                println!("{group} is unchanged: built in {built_in:.2?}");
            }
            return false;
        }
        let file = match build::deliver(&built.component, group, &self.components) {
            Ok(file) => file,
            Err(why) => {
                self.broke(Some(group), why.into(), deployer).await;
                self.stands(folder, Some(group.to_owned()), Standing::Missing);
                return false;
            }
        };
        let standing = match deployer.replace(group, &file).await {
            Ok(replaced) => {
                tell(group, &replaced, Some(built_in));
                Standing::Serving(digest)
            }
            Err(refusal) => {
                let why = format!("group {group} cannot serve: {refusal}");
                self.broke(Some(group), why.clone().into(), deployer).await;
                Standing::Refused(file, why)
            }
        };
        let serves = matches!(standing, Standing::Serving(_));
        self.stands(folder, Some(group.to_owned()), standing);
        serves
    }

    /// Tries those again that could not serve; says whether one can by now.
    async fn try_again(&mut self, deployer: &Deployer) -> bool {
        let mut something = false;
        for bench in self.benches.values_mut() {
            let (Some(group), Standing::Refused(file, before)) = (&bench.group, &bench.standing)
            else {
                continue;
            };
            match deployer.replace(group, file).await {
                Ok(replaced) => {
                    tell(group, &replaced, None);
                    bench.standing = Standing::Serving(replaced.digest);
                    something = true;
                }
                Err(refusal) => {
                    let why = format!("group {group} cannot serve: {refusal}");
                    if why != *before {
                        report(group, why.clone().into(), deployer).await;
                        bench.standing = Standing::Refused(file.clone(), why);
                    }
                }
            }
        }
        something
    }

    /// Tells what is wrong with a group's newest sources: here and, where it has routes, there.
    async fn broke(&self, group: Option<&str>, failed: Failed, deployer: &Deployer) {
        match group {
            Some(group) => report(group, failed, deployer).await,
            None => complain(&failed.message),
        }
    }

    fn stands(&mut self, folder: &Path, group: Option<String>, standing: Standing) {
        if let Some(bench) = self.benches.get_mut(folder) {
            (bench.group, bench.standing) = (group, standing);
        }
    }

    /// Another folder that makes the same group.
    fn other_of(&self, group: &str, folder: &Path) -> Option<&Path> {
        let mut others = self.benches.iter().filter(|(other, _)| *other != folder);
        others.find_map(|(other, bench)| {
            (bench.group.as_deref() == Some(group)).then_some(other.as_path())
        })
    }
}

/// Tells that a group serves.
fn tell(group: &str, replaced: &Replaced, built_in: Option<Duration>) {
    let Replaced { digest, checked_in, swapped_in, is_served } = replaced;
    if !is_served {
        complain(&format!(
            "a revision of group {group} was deployed, which answers in place of this one; take it offline with: wharf remove {group} --tenant default"
        ));
    }
    let built_in = built_in.map(|time| format!("built in {time:.2?}, ")).unwrap_or_default();
    println!(
        "{group}@{} serves: {built_in}checked in {checked_in:.2?}, swapped in {swapped_in:.2?}",
        &digest[..12]
    );
}

/// Tells what is wrong with a group, and has it answer so.
async fn report(group: &str, failed: Failed, deployer: &Deployer) {
    let told = failed.in_terminal();
    let Failed { message, said } = failed;
    let is_served = deployer.broke(Broken::new(group, message, said)).await;
    let last = if is_served {
        "its last good revision answers requests with the header x-wharf-revision: last-good"
    } else {
        "it is not served until that is mended"
    };
    complain(&format!("{told}; {last}"));
}

fn complain(why: &str) {
    anstream::eprintln!("\u{1b}[1;31merror\u{1b}[0m: {why}");
}
