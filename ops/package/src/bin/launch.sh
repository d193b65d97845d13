# Shared by ops/smelt and bin/smelt: finds a Java that is new enough and starts Smelt with it.

fail() {
  echo "smelt: $1" >&2
  exit 1
}

java=${JAVA_HOME:+$JAVA_HOME/bin/}java
command -v "$java" >/dev/null || fail "no java found; install Java 17 or newer or set JAVA_HOME"
version=$("$java" -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.specification.version = //p')
[ "${version%%.*}" -ge 17 ] || fail "Java $version is too old; install Java 17 or newer or set JAVA_HOME"

# launch HOME CLASSPATH ARGUMENT...
launch() {
  local options=(-Xmx"${SMELT_HEAP:-2g}" -XX:+UseParallelGC -Dsmelt.home="$1")
  if [ "${version%%.*}" -ge 24 ]; then
    options+=(--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow)
  fi
  case ${3:-} in
    bench | compress | up)
      # Merging runs at memory speed with vector instructions, which are still an incubating module.
      if "$java" --list-modules | grep '^jdk.incubator.vector' >/dev/null; then
        options+=(--add-modules jdk.incubator.vector)
      fi
      ;;
  esac
  # shellcheck disable=SC2086
  exec "$java" "${options[@]}" ${SMELT_JAVA_OPTIONS:-} -cp "$2" dev.smelt.ops.Smelt "${@:3}"
}
