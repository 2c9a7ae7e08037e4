/** A word that is an address or the like, and is spelled as it is. */
const SPELLED = /^\S*[a-z\d][.:@/_][a-z\d]/;

/** `the token was refused` → `The token was refused.` */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  const begun = SPELLED.test(trimmed)
    ? trimmed
    : trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.?!…]$/.test(begun) ? begun : `${begun}.`;
}
