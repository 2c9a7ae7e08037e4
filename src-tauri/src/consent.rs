//! The consent page of the sandbox, in a small window: only where there is no browser.
//!
//! Real consent opens in the user's own browser, where they can see whose page it is and are signed
//! in already. The sandbox is ours and asks for no password.

use tauri::webview::{NewWindowResponse, PageLoadEvent};
use tauri::{AppHandle, Manager, Runtime, WebviewUrl, WebviewWindowBuilder};
use url::Url;

use crate::window;

/// The window's label. It has no capability, so its page can ask nothing of us.
pub(crate) const LABEL: &str = "consent";

/// Opens the page. It may go on to loopback alone, where the sign-in waits for the browser.
pub(crate) fn open<R: Runtime>(app: &AppHandle<R>, url: &Url) -> tauri::Result<()> {
    if let Some(before) = app.get_webview_window(LABEL) {
        before.navigate(url.clone())?;
        return before.set_focus();
    }
    let shop = url.origin();
    WebviewWindowBuilder::new(app, LABEL, WebviewUrl::External(url.clone()))
        .title("Sandbox shop")
        .inner_size(480.0, 640.0)
        .on_navigation(is_loopback)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .on_page_load(move |page, load| {
            // Back from the shop with a code: the sign-in has it now. A refusal stays to be read.
            let back = load.url().origin() != shop && has_code(load.url());
            if load.event() == PageLoadEvent::Finished && back {
                let _ = page.close();
                window::show(page.app_handle());
            }
        })
        .build()?;
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

fn has_code(url: &Url) -> bool {
    url.query_pairs().any(|(name, _)| name == "code")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consent_stays_on_this_computer() {
        let may_go = |url: &str| is_loopback(&Url::parse(url).unwrap());

        assert!(may_go("http://127.0.0.1:5000/oauth/authorize"));
        assert!(may_go("http://localhost:5000/oauth/callback?code=1"));
        assert!(!may_go("http://127.0.0.1.example.com/"));
        assert!(!may_go("https://example.com/"));
        assert!(!may_go("patchbay://localhost/"));
    }
}
