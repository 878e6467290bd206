use std::{fs, sync::Arc, time::Instant};
use age::secrecy::ExposeSecret as _;
use alcazar_contract::source::{FetchSource, HttpFile};
use alcazar_formats::Access as _;
use alcazar_store::*;
struct Any;
impl Inspect for Any {
    fn inspect(&self, _: &dyn alcazar_formats::Access, _: &std::path::Path) -> Result<inspect::Inspected, FetchError> { Ok(Default::default()) }
}
use inspect::Inspect;
#[tokio::test(flavor = "multi_thread")]
async fn measure() {
    let file = std::env::var("MEASURE").unwrap();
    let bytes = fs::read(&file).unwrap();
    let sha = { use sha2::Digest; format!("{:x}", sha2::Sha256::digest(&bytes)) };
    let app = axum::Router::new().route("/m.gguf", axum::routing::get(move || async move { bytes.clone() }));
    let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/m.gguf", l.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(l, app).await.unwrap() });
    for enc in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let source = FetchSource::Http { files: vec![HttpFile { url: url.clone(), sha256: sha.clone(), path: String::new() }] };
        let mut job = Fetch::new(source, dir.path().to_owned());
        job.allow_hosts = vec!["127.0.0.1".into()];
        if enc { job.protection.keys = Some(Keys::parse(age::x25519::Identity::generate().to_string().expose_secret(), "").unwrap()); }
        let t = Instant::now();
        let facts = fetch(&job, Arc::new(Any), &Progress::default()).await.unwrap();
        eprintln!("enc {enc} fetch {:?}", t.elapsed());
        let root = dir.path().join(&facts.path);
        for _ in 0..6 {
            let t = Instant::now();
            let (_, v) = prove(&root, &job.protection, &Progress::default()).await.unwrap();
            let proved = t.elapsed();
            let t = Instant::now();
            let f = v.open(&root.join("m.gguf")).unwrap();
            let (mut at, mut buf) = (0u64, vec![0u8; 1_327_104]);
            while at < f.length() { let n = (f.length() - at).min(buf.len() as u64) as usize; f.read_exact_at(&mut buf[..n], at).unwrap(); at += n as u64; }
            eprintln!("enc {enc} prove {proved:?} read {:?}", t.elapsed());
        }
    }
}
