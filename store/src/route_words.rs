//! What stands in the columns of a route.

use picloud_model::route::RouteAuth;

/// The methods out of `GET,POST`; none out of the empty text.
pub(crate) fn methods_from(text: &str) -> Vec<String> {
    text.split(',').filter(|method| !method.is_empty()).map(str::to_owned).collect()
}

/// A word that is not `public` keeps the route closed.
pub(crate) fn auth_from(word: &str) -> RouteAuth {
    if word == "public" { RouteAuth::Public } else { RouteAuth::Key }
}

/// The word of [`auth_from`].
pub(crate) fn auth_word(auth: RouteAuth) -> &'static str {
    match auth {
        RouteAuth::Public => "public",
        RouteAuth::Key => "key",
    }
}
