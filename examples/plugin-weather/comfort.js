/**
 * Wind chill by the formula that the Canadian and US weather services introduced in 2001: valid up to 10 °C and from 4.8 km/h.
 */
export function windChill({ celsius, wind_kmh }) {
  if (celsius > 10 || wind_kmh < 4.8) {
    throw Object.assign(new Error("Wind chill is defined up to 10 °C and from 4.8 km/h of wind"), {
      _tag: "ToolFailed",
    })
  }
  const factor = wind_kmh ** 0.16
  const felt = 13.12 + 0.6215 * celsius - 11.37 * factor + 0.3965 * celsius * factor
  return { feels_like_celsius: Math.round(felt * 10) / 10 }
}
