// Time zones to choose from.

/** All that the browser knows, with how far each is from UTC at `now`. */
export function zones(now: Date): { id: string; title: string; note: string }[] {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")].map(
    (zone) => ({ id: zone, title: zone.replaceAll("_", " "), note: offset(zone, now) }),
  );
}

/** `GMT+1`. */
export function offset(zone: string, now: Date): string {
  return (
    new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "shortOffset" })
      .formatToParts(now)
      .find((part) => part.type === "timeZoneName")?.value ?? ""
  );
}
