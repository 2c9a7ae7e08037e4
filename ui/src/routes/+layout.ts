// One page for both hosts, made where it is shown: there is no server that could render it.
export const ssr = false;
export const prerender = false;
export const trailingSlash = "never";
