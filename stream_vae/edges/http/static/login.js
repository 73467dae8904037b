// The token may come behind `#token=`: fragments are sent to no server and stand in no log.
const field = document.getElementById("token");

function useAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return false;
  history.replaceState(null, "", location.pathname);
  field.value = given;
  document.getElementById("form").submit();
  return true;
}

addEventListener("hashchange", useAddress);
if (!useAddress()) {
  document.getElementById("wrong").hidden = location.search !== "?wrong";
  // A link of another site leads here without the cookie, although there may be one.
  const answer = await fetch("login", { redirect: "manual" }).catch(() => null);
  if (answer?.type === "opaqueredirect") location.replace("./");
}
